/**
 * What was received of a peer, and what its head says of it.
 *
 * Received is everything that stands in the store, the refused included: its sums are compared with the head's. What a range
 * did not hold any more waits in `unproved` until a LIVE head equals what was received.
 */
import { Head, HeadState, type Kind } from "@isthmus/proto";
import { createRecordTable, type HashedRecord, STORE_KINDS, sameBytes, sameSums } from "@isthmus/records";
import type { Meta, Seen } from "./events.js";
import type { ReaderState } from "./state.js";

export type Gone = { readonly kind: Kind; readonly key: string };

/** The range is what the store holds now. What it does not hold waits for its proof. */
export function replaceReceived(
  state: ReaderState,
  records: readonly HashedRecord[],
): { upserts: HashedRecord[]; deletes: Gone[] } {
  const { admission } = state.options;
  const before = state.received;
  const received = createRecordTable();
  const upserts: HashedRecord[] = [];
  const deletes: Gone[] = [];
  const changed: HashedRecord[] = [];
  for (const record of records) {
    const old = before.get(record.key);
    const same = old !== undefined && sameBytes(old.hash, record.hash);
    received.set(same ? old : record);
    state.unproved.delete(record.key);
    if (!same) changed.push(record);
  }
  for (const { kind, key } of before.records()) {
    if (received.get(key) !== undefined) continue;
    if (admission.isTaken(key)) state.unproved.set(key, { kind, key });
    else admission.forget(key);
  }
  state.received = received;
  for (const record of changed) {
    if (admission.judge(record).ok) upserts.push(record);
    else deletes.push({ kind: record.kind, key: record.key });
  }
  return { upserts, deletes };
}

export function applyRecord(
  { options: { admission }, received, unproved }: ReaderState,
  event: Seen,
  upserts: Map<string, HashedRecord>,
  deletes: Map<string, Gone>,
): void {
  const { key, record } = event;
  const old = received.get(key) ?? unproved.get(key);
  upserts.delete(key);
  unproved.delete(key);
  if (record === undefined) {
    received.delete(key);
    admission.forget(key);
    if (old !== undefined) deletes.set(key, { kind: old.kind, key });
    return;
  }
  received.set(record);
  if (admission.judge(record).ok) {
    deletes.delete(key);
    upserts.set(key, record);
  } else deletes.set(key, { kind: record.kind, key });
}

export function takeHead(state: ReaderState, meta: Pick<Meta, "value" | "modRevision"> | undefined, now: number): void {
  const head = meta === undefined ? undefined : decodeHead(meta.value);
  if (head !== undefined && (head.seq !== state.head?.seq || head.writer !== state.head.writer)) state.beatAt = now;
  state.head = head;
  if (head !== undefined && head.seq > state.newestSeq) state.newestSeq = head.seq;
  state.headRevision = meta?.modRevision ?? 0n;
}

/** Undefined when it cannot be read: as good as none. What a peer writes must not stop us. */
export function decodeHead(value: Uint8Array): Head | undefined {
  try {
    return Head.decode(value);
  } catch {
    return undefined;
  }
}

export function compareSums(state: ReaderState): void {
  state.equal = isLive(state) && sameSums(state.head?.sums ?? [], state.received.sums(STORE_KINDS));
  state.mismatches = state.equal || !isLive(state) ? 0 : state.mismatches + 1;
}

export function isLive(state: ReaderState): boolean {
  return state.head?.state === HeadState.HEAD_STATE_LIVE && state.storeId !== undefined;
}

/** With a LIVE head that equals what was received, what is absent is gone. */
export function prove(state: ReaderState): Gone[] {
  if (!state.equal) return [];
  const proved = [...state.unproved.values()];
  state.unproved.clear();
  for (const { key } of proved) state.options.admission.forget(key);
  return proved;
}
