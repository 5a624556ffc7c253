/** Changes that do not come from the store: limits, owners of addresses, uid and removal of a peer. */
import { createRecordTable, type HashedRecord } from "@isthmus/records";
import { emit } from "./emit.js";
import type { EventOf, ReaderEffect } from "./events.js";
import { list } from "./listing.js";
import { type DeletedRecord, lastEmitted } from "./received-records.js";
import type { ReaderState } from "./state.js";
import { createUnverified } from "./unverified.js";

/** Emits records that are accepted now and deletes those that are refused now. Of an unverified key, the emitted record is judged. */
export function judgeAgain(state: ReaderState, { keys }: EventOf<"judge-again">): ReaderEffect[] {
  const { admission } = state.options;
  const [upserts, deletes]: [HashedRecord[], DeletedRecord[]] = [[], []];
  for (const record of keys === undefined ? allEmitted(state) : [...keys].map((key) => lastEmitted(state, key))) {
    if (record === undefined) continue;
    const before = admission.isAccepted(record.key);
    const { judgement } = admission.judge(record);
    if (judgement === "accepted" && !before) upserts.push(record);
    if (judgement === "refused" && before) deletes.push({ kind: record.kind, key: record.key });
  }
  if (state.position === undefined || upserts.length + deletes.length === 0) return [];
  return [emit(state, upserts, deletes, 0)];
}

function allEmitted({ received, unverified }: ReaderState): (HashedRecord | undefined)[] {
  return [...[...received.records()].filter(({ key }) => !unverified.has(key)), ...unverified.values()];
}

/** Sets uid and refusal of the peer. A change lists the peer at once: the store may now be that of another cluster. */
export function onPermitted(state: ReaderState, { uid, refusal, now }: EventOf<"permitted">): ReaderEffect[] {
  if (uid === state.uid && refusal === state.blocked) return [];
  state.uid = uid;
  state.blocked = refusal;
  if (state.phase.status === "Idle") return [];
  state.pace.reset();
  return list(state, now);
}

/** * -> Removed: the only transition that deletes all records of a source at once. */
export function onRemoved(state: ReaderState): ReaderEffect[] {
  const { admission } = state.options;
  const records = [...state.received.records(), ...state.unverified.values()];
  const deletes = records.flatMap((record) => (record === undefined ? [] : [{ kind: record.kind, key: record.key }]));
  for (const { key } of deletes) admission.forget(key);
  state.phase = { status: "Removed" };
  state.received = createRecordTable();
  state.unverified = createUnverified();
  return [{ type: "unwatch" }, ...(state.position === undefined ? [] : [emit(state, [], deletes, 0)])];
}
