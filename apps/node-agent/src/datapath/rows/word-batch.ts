/** Words for one array, kept in the order they were added and stored by one call. */
import type { ArrayPort } from "@isthmus/reconcile";

export interface WordBatch<Value extends number | bigint> {
  /** `offset`: in bytes inside the entry, aligned to the word. */
  add(index: number, offset: number, value: Value): void;
  /** Stores the words in the order they were added, and empties the batch; without a word it does nothing. */
  store(): void;
}

/** `store` throws before the first word if an index or offset is outside the map. */
export function createWords32(port: ArrayPort): WordBatch<number> {
  return createBatch((indexes, offsets, values) => port.storeWords32(indexes, offsets, new Uint32Array(values)));
}

/** `store` throws before the first word if an index or offset is outside the map. */
export function createWords64(port: ArrayPort): WordBatch<bigint> {
  return createBatch((indexes, offsets, values) => port.storeWords64(indexes, offsets, new BigUint64Array(values)));
}

function createBatch<Value extends number | bigint>(
  store: (indexes: Uint32Array, offsets: Uint32Array, values: readonly Value[]) => void,
): WordBatch<Value> {
  let indexes: number[] = [];
  let offsets: number[] = [];
  let values: Value[] = [];
  return {
    add(index, offset, value) {
      indexes.push(index);
      offsets.push(offset);
      values.push(value);
    },
    store() {
      if (indexes.length > 0) store(new Uint32Array(indexes), new Uint32Array(offsets), values);
      indexes = [];
      offsets = [];
      values = [];
    },
  };
}
