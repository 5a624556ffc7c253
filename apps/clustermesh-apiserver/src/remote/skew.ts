/**
 * Minimum offset between the peer's wall clock and the local one: the smallest difference between the time at which a head
 * was written (peer's clock) and received (local clock), over the last heads. Differences of up to 250 ms count as none: the
 * store's usual delay is within them.
 */
export interface Skew {
  /** Adds a head that arrived alone on a stream that was up to date. */
  add(writtenMicros: number, receivedMicros: number): void;
  /** Added to a time of the peer it gives local time; 0 when the clocks agree. */
  readonly micros: number;
}

const HEADS = 12;
const TOLERATED_MICROS = 250_000;

/** Without heads: `micros` is 0. */
export function createSkew(): Skew {
  const differences: number[] = [];
  return {
    add(writtenMicros, receivedMicros) {
      if (writtenMicros === 0) return;
      differences.push(receivedMicros - writtenMicros);
      if (differences.length > HEADS) differences.shift();
    },
    get micros() {
      const least = Math.min(...differences);
      return Number.isFinite(least) && Math.abs(least) > TOLERATED_MICROS ? Math.round(least) : 0;
    },
  };
}
