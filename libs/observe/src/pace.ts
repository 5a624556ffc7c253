/**
 * Limits how often an act is repeated that others can cause: at once after a quiet time, otherwise with growing waits.
 *
 * In: when the act was done. Out: how long the next one has to wait. The first time after a quiet one lets the second follow at
 * once; from then on the wait doubles from `minMs` to `maxMs`, jittered. Pure but for the jitter.
 */
import { createBackoff } from "./backoff.js";

export interface PaceOptions {
  readonly minMs: number;
  readonly maxMs: number;
  /** After this time without the act it may be done at once again. More than `maxMs`. */
  readonly quietMs: number;
  /** In [0, 1); Math.random unless a test says otherwise. */
  readonly random?: () => number;
}

export interface Pace {
  /** Time until the act may be done again; 0: now. */
  waitMs(now: number): number;
  /** Notes that the act was done. */
  done(now: number): void;
  /** Lets the next act not wait. */
  reset(): void;
}

export function createPace({ quietMs, ...options }: PaceOptions): Pace {
  const backoff = createBackoff(options);
  let doneAt = Number.NEGATIVE_INFINITY;
  let dueAt = Number.NEGATIVE_INFINITY;
  return {
    waitMs: (now) => Math.max(0, dueAt - now),
    done(now) {
      const quiet = now - doneAt > quietMs;
      if (quiet) backoff.reset();
      doneAt = now;
      dueAt = quiet ? now : now + backoff.nextMs();
    },
    reset() {
      doneAt = Number.NEGATIVE_INFINITY;
      dueAt = Number.NEGATIVE_INFINITY;
    },
  };
}
