/**
 * Exponential back-off with jitter: how long to wait before the n-th retry in a row.
 *
 * The full delay doubles from `minMs` to `maxMs`; the delay returned is a random part of it, so that many clients do not
 * retry together. `backoffMs` is for a state that counts its own failures, `createBackoff` counts them itself.
 */
export interface BackoffOptions {
  /** Full delay before the first retry. */
  readonly minMs: number;
  /** No full delay is longer. */
  readonly maxMs: number;
  /** The share of the full delay that is random: the delay is in [1 - jitter, 1] of it. 0.5 unless given; 0: none. */
  readonly jitter?: number;
  /** In [0, 1); Math.random unless given. */
  readonly random?: (() => number) | undefined;
}

export interface Backoff {
  /** The next delay in milliseconds; its full delay is double the one before. */
  nextMs(): number;
  /** Starts again at the minimum; for the caller to use after a success. */
  reset(): void;
}

/** The delay after `failures` earlier ones in a row (0: the first), in whole milliseconds. */
export function backoffMs(failures: number, options: BackoffOptions): number {
  const { jitter = 0.5, random = Math.random } = options;
  const full = Math.min(options.maxMs, options.minMs * 2 ** failures);
  return Math.round(full * (1 - jitter * (1 - random())));
}

/** Counts the failures of one action. */
export function createBackoff(options: BackoffOptions): Backoff {
  let failures = 0;
  return {
    nextMs: () => backoffMs(failures++, options),
    reset() {
      failures = 0;
    },
  };
}
