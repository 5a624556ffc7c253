/**
 * How far the peer's wall clock is from ours, at least: the smallest difference between when a head was written (its
 * clock) and when it came (ours), over the last heads. Differences within the store's usual delay count as none.
 */
export interface Skew {
  /** A head that came alone on a stream that was up to date. */
  add(writtenMicros: number, cameMicros: number): void;
  /** Add it to the peer's times to read them by our clock; 0 when they agree. */
  readonly micros: number;
}

const HEADS = 12;
const TOLERATED_MICROS = 250_000;

export function createSkew(): Skew {
  const differences: number[] = [];
  return {
    add(writtenMicros, cameMicros) {
      if (writtenMicros === 0) return;
      differences.push(cameMicros - writtenMicros);
      if (differences.length > HEADS) differences.shift();
    },
    get micros() {
      const least = Math.min(...differences);
      return Number.isFinite(least) && Math.abs(least) > TOLERATED_MICROS ? Math.round(least) : 0;
    },
  };
}
