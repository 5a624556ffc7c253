/**
 * Jittered exponential back-off: how long to wait before the n-th retry in a row.
 *
 * In: bounds. Out: a delay in [half, full] of `min * 2^n`, never above `max`, so that many clients do not retry
 * together.
 */
export interface BackoffOptions {
  readonly minMs: number;
  readonly maxMs: number;
  /** In [0, 1); Math.random unless given. */
  readonly random?: () => number;
}

export interface Backoff {
  /** The next delay; each call doubles the one before. */
  nextMs(): number;
  /** Starts again at the minimum; for the caller to use after a success. */
  reset(): void;
}

export function createBackoff(options: BackoffOptions): Backoff {
  const random = options.random ?? Math.random;
  let full = options.minMs;
  return {
    nextMs() {
      const delay = full * (0.5 + random() / 2);
      full = Math.min(options.maxMs, full * 2);
      return delay;
    },
    reset() {
      full = options.minMs;
    },
  };
}
