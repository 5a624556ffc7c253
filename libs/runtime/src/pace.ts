/**
 * Limits how often an action runs that something outside this process can trigger: at once after a quiet period,
 * otherwise after growing waits.
 *
 * In: when the action ran. Out: how long the next run must wait. The second run after a quiet period may follow at
 * once; from the third on the wait doubles from `minMs` to `maxMs`, jittered. Pure except for the jitter.
 */
import { createBackoff } from "./backoff.js";

export interface PaceOptions {
  /** The wait before the third run after a quiet period. */
  readonly minMs: number;
  /** No wait is longer. */
  readonly maxMs: number;
  /** After this time without a run the next one need not wait. More than `maxMs`. */
  readonly quietMs: number;
  /** In [0, 1); Math.random unless given. */
  readonly random?: (() => number) | undefined;
}

export interface Pace {
  /** Time until the next run is allowed; 0: now. */
  waitMs(now: number): number;
  /** Records a run. */
  recordRun(now: number): void;
  /** The next run need not wait. */
  reset(): void;
}

/** As after a quiet period: the first two runs need not wait. */
export function createPace({ quietMs, ...options }: PaceOptions): Pace {
  const backoff = createBackoff(options);
  let doneAt = Number.NEGATIVE_INFINITY;
  let dueAt = Number.NEGATIVE_INFINITY;
  return {
    waitMs: (now) => Math.max(0, dueAt - now),
    recordRun(now) {
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
