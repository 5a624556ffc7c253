/**
 * How soon something may be done again that others can ask for: at once after a quiet time, else ever more rarely.
 *
 * In: when it was done. Out: how long the next time has to wait. The first time after a quiet one lets the second follow at
 * once; from then on the wait doubles from `minMs` to `maxMs`, jittered. Pure but for the jitter.
 */
import { createBackoff } from "./backoff.js";

export interface PaceOptions {
  readonly minMs: number;
  readonly maxMs: number;
  /** Not done for so long: quiet. More than `maxMs`. */
  readonly quietMs: number;
  /** In [0, 1); Math.random unless a test says otherwise. */
  readonly random?: () => number;
}

export interface Pace {
  /** Until it may be done again; 0: now. */
  waitMs(now: number): number;
  /** It was done. */
  done(now: number): void;
  /** The next time does not wait. */
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
