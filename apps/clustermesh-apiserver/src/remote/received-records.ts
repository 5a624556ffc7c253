/**
 * The records received of a peer, and their comparison with the sums in its head.
 *
 * `received` has all records in the store, refused ones included, and its sums are compared with the head's. A record that is
 * absent from a listing stays in `unverified` until a LIVE head has the sums of `received`. So does a record that differs in a
 * store with another id: while the publisher loads such a store, it may hold a backup.
 */
import { type Head, HeadState, Kind } from "@isthmus/proto";
import {
  createRecordTable,
  differingKinds,
  exportedKinds,
  type HashedRecord,
  type RecordTable,
  readHead,
  retainedRecord,
  STORE_KINDS,
  sameBytes,
} from "@isthmus/records";
import type { Judgement } from "./admission.js";
import type { Meta, WatchedChange } from "./events.js";
import type { ReaderState } from "./state.js";
import { createUnverified, type Unverified } from "./unverified.js";

export type DeletedRecord = { readonly kind: Kind; readonly key: string };

/** What is emitted of a change. */
export interface Content {
  /** Records that are accepted. */
  readonly upserts: HashedRecord[];
  /** Records that are gone or refused; some of them may never have been emitted. */
  readonly deletes: DeletedRecord[];
}

/** The received records after a listing, before it is accepted: the peer may be over budget with it. */
export interface Replacement {
  /** All records of the listing, refused ones included; one that did not change is the object kept before. */
  readonly received: RecordTable;
  /** Replaces that of the state: keys that are absent from the listing or, with `unverifiedStore`, differ from it. */
  readonly unverified: Unverified;
  /** The records to judge, in the order of the listing. */
  readonly changed: readonly HashedRecord[];
  /** Keys that are absent from the listing and of which no accepted record was emitted. */
  readonly forgotten: readonly string[];
}

/**
 * Computes the received records from a listing. Absent records become unverified. `unverifiedStore`: the listing may be of
 * another store, so records that differ become unverified too.
 */
export function replacementOf(
  state: ReaderState,
  records: readonly HashedRecord[],
  unverifiedStore: boolean,
): Replacement {
  const { admission } = state.options;
  const received = createRecordTable();
  const unverified = createUnverified(state.unverified);
  const [changed, forgotten]: [HashedRecord[], string[]] = [[], []];
  for (const record of records) {
    const held = lastEmitted(state, record.key);
    const same = held !== undefined && sameBytes(held.hash, record.hash);
    received.set(same ? held : record);
    // A new identity does no harm, and endpoints from the watch may need it.
    const waits = unverifiedStore && !(held === undefined && record.kind === Kind.KIND_IDENTITY);
    if (!same && waits) unverified.set(record.key, held);
    else unverified.delete(record.key);
    if (!same && !waits) changed.push(record);
  }
  for (const { key } of state.received.records()) {
    if (received.get(key) !== undefined) continue;
    const held = lastEmitted(state, key);
    if (held !== undefined && admission.isAccepted(key)) unverified.set(key, held);
    else {
      unverified.delete(key);
      forgotten.push(key);
    }
  }
  return { received, unverified, changed, forgotten };
}

/** Accepts the listing: sets both tables of `state`, and returns what must be emitted of it. */
export function replaceReceived(
  state: ReaderState,
  { received, unverified, changed, forgotten }: Replacement,
): Content {
  state.received = received;
  state.unverified = unverified;
  for (const key of forgotten) state.options.admission.forget(key);
  return judged(state, changed);
}

/** The record of a key that was last emitted, or judged and refused; never an unverified one. */
export function lastEmitted({ received, unverified }: ReaderState, key: string): HashedRecord | undefined {
  return unverified.has(key) ? unverified.get(key) : received.get(key);
}

function forget({ options, unverified }: ReaderState, key: string): void {
  unverified.delete(key);
  options.admission.forget(key);
}

function judged(state: ReaderState, records: Iterable<HashedRecord>): Content {
  const [upserts, deletes]: [HashedRecord[], DeletedRecord[]] = [[], []];
  for (const record of records) {
    const judgement = judge(state, record);
    if (judgement === "accepted") upserts.push(record);
    if (judgement === "refused") deletes.push({ kind: record.kind, key: record.key });
  }
  return { upserts, deletes };
}

/** Of a record that is refused permanently only key and hash are kept. */
function judge({ options, received }: ReaderState, record: HashedRecord): Judgement {
  const verdict = options.admission.judge(record);
  const kept = retainedRecord(record, verdict);
  if (kept !== record) received.set(kept);
  return verdict.judgement;
}

/** Judges the records of these keys again: another epoch lets them in. */
export function judgeKeys(state: ReaderState, keys: readonly string[]): Content {
  return judged(
    state,
    keys.flatMap((key) => (state.unverified.has(key) ? [] : (state.received.get(key) ?? []))),
  );
}

/** Applies one change of the watch; `upserts` and `deletes` collect what to emit, the last change of a key wins. */
export function applyRecord(
  state: ReaderState,
  { key, record }: WatchedChange,
  upserts: Map<string, HashedRecord>,
  deletes: Map<string, DeletedRecord>,
): void {
  const held = lastEmitted(state, key);
  const before = upserts.get(key);
  upserts.delete(key);
  if (record === undefined) {
    state.received.delete(key);
    forget(state, key);
    if (held !== undefined) deletes.set(key, { kind: held.kind, key });
    return;
  }
  state.unverified.delete(key);
  state.received.set(record);
  const judgement = judge(state, record);
  if (judgement === "accepted") {
    deletes.delete(key);
    upserts.set(key, record);
  } else if (judgement === "refused") deletes.set(key, { kind: record.kind, key });
  else if (before !== undefined) upserts.set(key, before);
}

/**
 * `meta` undefined: no head. `beatAt` is renewed only by a head with another seq or writer; `now`: monotonic ms. Returns the keys
 * that must be judged again, since the head has another epoch.
 */
export function takeHead(
  state: ReaderState,
  meta: Pick<Meta, "value" | "modRevision"> | undefined,
  now: number,
): readonly string[] {
  const head = meta === undefined ? undefined : readHead(meta.value);
  if (head !== undefined && (head.seq !== state.head?.seq || head.writer !== state.head.writer)) state.beatAt = now;
  state.head = head;
  if (head !== undefined && head.seq >= state.newestHead.seq) state.newestHead = head;
  state.headRevision = meta?.modRevision ?? 0n;
  return head === undefined ? [] : state.options.admission.setEpoch(head.epoch);
}

/** Sets `sumsMatch`: false without a store id, or when the head is not LIVE. */
export function compareSums(state: ReaderState): void {
  state.sumsMatch = state.storeId !== undefined && isComplete(state.head, state.received);
}

/** True when the head is LIVE and its sums equal the received records. */
export function isComplete(head: Head | undefined, received: RecordTable): boolean {
  if (head?.state !== HeadState.HEAD_STATE_LIVE) return false;
  return differingKinds(head.sums, received.sums(STORE_KINDS)).length === 0;
}

/** A LIVE head differs from what was received: an event was lost, or keys were modified externally. */
export function differs(state: ReaderState): boolean {
  return isLive(state) && !state.sumsMatch;
}

/** True when the head is LIVE and the store has an id. */
export function isLive(state: ReaderState): boolean {
  return state.head?.state === HeadState.HEAD_STATE_LIVE && state.storeId !== undefined;
}

/**
 * Once a LIVE head equals what was received: deletes absent records and verifies present ones. A kind that the head does not
 * export is left unverified: its publisher is of an older version, and a newer one may return.
 */
export function verify(state: ReaderState): Content {
  if (!state.sumsMatch) return { upserts: [], deletes: [] };
  const exported = exportedKinds(state.head?.sums ?? []);
  const present: HashedRecord[] = [];
  const absent: DeletedRecord[] = [];
  for (const [key, held] of state.unverified) {
    const record = state.received.get(key);
    if (!isKindExported(exported, record ?? held)) continue;
    state.unverified.delete(key);
    if (record !== undefined) present.push(record);
    else {
      state.options.admission.forget(key);
      if (held !== undefined) absent.push({ kind: held.kind, key });
    }
  }
  state.unverifiedStore = false;
  const { upserts, deletes } = judged(state, present);
  return { upserts, deletes: [...absent, ...deletes] };
}

/** True when the head has a sum of the record's kind. */
export function isKindExported(exported: ReadonlySet<Kind>, record: HashedRecord | undefined): boolean {
  return record === undefined || exported.has(record.kind);
}
