/** What changes without the store: limits, the owners of addresses, a peer that was removed. */
import { createRecordTable, type HashedRecord } from "@isthmus/records";
import { emit } from "./emit.js";
import type { EventOf, ReaderEffect } from "./events.js";
import { list } from "./listing.js";
import { type Gone, handedOn } from "./received-records.js";
import type { ReaderState } from "./state.js";
import { createUnverified } from "./unverified.js";

/** Takes what fits now, lets go of what does not any more; of what is in doubt, what was handed on is judged. */
export function judgeAgain(state: ReaderState, { keys }: EventOf<"judge-again">): ReaderEffect[] {
  const { admission } = state.options;
  const [upserts, deletes]: [HashedRecord[], Gone[]] = [[], []];
  for (const record of keys === undefined ? allHandedOn(state) : [...keys].map((key) => handedOn(state, key))) {
    if (record === undefined) continue;
    const before = admission.isTaken(record.key);
    const { ok } = admission.judge(record);
    if (ok && !before) upserts.push(record);
    if (!ok && before) deletes.push({ kind: record.kind, key: record.key });
  }
  if (state.position === undefined || upserts.length + deletes.length === 0) return [];
  return [emit(state, upserts, deletes, 0)];
}

function allHandedOn({ received, unverified }: ReaderState): (HashedRecord | undefined)[] {
  return [...[...received.records()].filter(({ key }) => !unverified.has(key)), ...unverified.values()];
}

/** Takes uid and refusal of the peer. A change lists the peer at once: the store may now be another cluster's. */
export function onPermitted(state: ReaderState, { uid, refusal, now }: EventOf<"permitted">): ReaderEffect[] {
  if (uid === state.uid && refusal === state.blocked) return [];
  state.uid = uid;
  state.blocked = refusal;
  if (state.phase.status === "Idle") return [];
  state.pace.reset();
  return list(state, now);
}

/** * -> Removed: the only way in which all records of a source go at once. */
export function onRemoved(state: ReaderState): ReaderEffect[] {
  const { admission } = state.options;
  const held = [...state.received.records(), ...state.unverified.values()];
  const deletes = held.flatMap((record) => (record === undefined ? [] : [{ kind: record.kind, key: record.key }]));
  for (const { key } of deletes) admission.forget(key);
  state.phase = { status: "Removed" };
  state.received = createRecordTable();
  state.unverified = createUnverified();
  return [{ type: "unwatch" }, ...(state.position === undefined ? [] : [emit(state, [], deletes, 0)])];
}
