/** The operator's word: limits that changed, a peer that was removed. */
import { createRecordTable, type HashedRecord } from "@isthmus/records";
import type { ReaderEffect } from "./events.js";
import { emit } from "./hand-on.js";
import type { Gone } from "./received.js";
import type { ReaderState } from "./state.js";

/** Takes what fits now, lets go of what does not any more. */
export function judgeAgain(state: ReaderState): ReaderEffect[] {
  const { admission } = state.options;
  const [upserts, deletes]: [HashedRecord[], Gone[]] = [[], []];
  for (const record of state.received.records()) {
    const before = admission.isTaken(record.key);
    const { ok } = admission.judge(record);
    if (ok && !before) upserts.push(record);
    if (!ok && before) deletes.push({ kind: record.kind, key: record.key });
  }
  if (state.storeId === undefined || upserts.length + deletes.length === 0) return [];
  return [emit(state, upserts, deletes, 0)];
}

/** * -> Removed: the only way in which all records of a source go at once. */
export function onRemoved(state: ReaderState): ReaderEffect[] {
  const { admission } = state.options;
  const deletes = [...state.received.records(), ...state.unproved.values()].map(({ kind, key }) => ({ kind, key }));
  for (const { key } of deletes) admission.forget(key);
  state.phase = { status: "Removed" };
  state.received = createRecordTable();
  state.unproved.clear();
  return [{ type: "unwatch" }, ...(state.position === undefined ? [] : [emit(state, [], deletes, 0)])];
}
