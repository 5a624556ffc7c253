/** Words for one array, kept in the order they were added and stored by one call. */
import type { ArrayPort } from "@isthmus/reconcile";

export interface WordBatch<Value extends number | bigint> {
  add(index: number, offset: number, value: Value): void;
  store(): void;
}

export function createWords32(port: ArrayPort): WordBatch<number> {
  return createBatch((indexes, offsets, values) => port.storeWords32(indexes, offsets, new Uint32Array(values)));
}

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
