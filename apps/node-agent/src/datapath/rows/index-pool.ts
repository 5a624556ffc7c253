/** Free indexes of an array map; index 0 is never given out. */
export interface IndexPool {
  /** Undefined when all are taken. */
  take(): number | undefined;
  /** Frees an index that was taken or adopted, once; it is the next one to be taken. */
  give(index: number): void;
  /** Number of indexes that are taken. */
  readonly used: number;
  /** Number of indexes without 0. */
  readonly capacity: number;
}

/** `taken`: indexes that were adopted. */
export function createIndexPool(maxEntries: number, taken: ReadonlySet<number>): IndexPool {
  const top = maxOf(taken);
  const free: number[] = [];
  for (let index = top; index >= 1; index--) if (!taken.has(index)) free.push(index);
  let next = top + 1;
  const capacity = maxEntries - 1;
  return {
    take() {
      if (free.length > 0) return free.pop();
      return next <= capacity ? next++ : undefined;
    },
    give: (index) => void free.push(index),
    get used() {
      return next - 1 - free.length;
    },
    capacity,
  };
}

function maxOf(values: Iterable<number>): number {
  let max = 0;
  for (const value of values) if (value > max) max = value;
  return max;
}
