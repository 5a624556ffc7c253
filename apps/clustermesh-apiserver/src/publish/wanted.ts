/** Compares wanted with stored records to find dirty keys. */
import { type HashedRecord, MAX_VALUE_BYTES, sameBytes } from "@isthmus/records";
import type { PublisherState } from "./state.js";

/** Computes `dirty` anew from all wanted and all stored records; when they changed is unknown (0) then. */
export function compareAll(state: PublisherState): void {
  state.dirty.clear();
  for (const record of state.wanted.records()) compareKey(state, record.key, 0);
  for (const record of state.stored.records.records()) compareKey(state, record.key, 0);
}

/** False for a record above MAX_VALUE_BYTES, which no store and no reader accepts. Updates `tooLarge`. */
export function fits(state: PublisherState, { key, value }: HashedRecord): boolean {
  if (value.length <= MAX_VALUE_BYTES) return state.tooLarge.delete(key) || true;
  state.tooLarge.set(key, value.length);
  return false;
}

/** Marks the key as equal, to put, or to delete. */
export function compareKey(state: PublisherState, key: string, observedMicros: number): void {
  const [wanted, stored] = [state.wanted.get(key), state.stored.records.get(key)];
  if (wanted === undefined)
    stored === undefined ? state.dirty.remove(key) : state.dirty.add(key, "delete", observedMicros);
  else if (stored !== undefined && sameBytes(wanted.hash, stored.hash)) state.dirty.remove(key);
  else state.dirty.add(key, "upsert", observedMicros);
}
