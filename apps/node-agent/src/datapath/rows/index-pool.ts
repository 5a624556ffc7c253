/** Free indexes of an array map; index 0 is never given out. */
import { inSlices, type Slices } from "@isthmus/runtime";

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

const INDEXES_PER_SLICE = 1024;

/** `taken`: indexes that were adopted. */
export function* createIndexPool(maxEntries: number, taken: ReadonlySet<number>): Slices<IndexPool> {
  let top = 0;
  yield* inSlices(taken, INDEXES_PER_SLICE, (index) => {
    if (index > top) top = index;
  });
  const free: number[] = [];
  for (let index = top; index >= 1; index--) {
    if (!taken.has(index)) free.push(index);
    if (index % INDEXES_PER_SLICE === 0) yield;
  }
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
