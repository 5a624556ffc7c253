/**
 * The publisher's view of the cluster's prefix in the store: records with their sums, and the other keys, each with the revision
 * that wrote it. Events older than the known state are ignored: the watch may lag behind this publisher's txns.
 *
 * An unknown key belongs to a newer version, which may run again later: it is left alone and not counted (ADR 20).
 */
import { HEAD_KEY } from "@isthmus/kvstore";
import type { KindSum } from "@isthmus/proto";
import {
  accumulate,
  createRecordTable,
  emptySum,
  kindOfKey,
  parseSum,
  type RecordTable,
  recordHash,
  STORE_KINDS,
  sumBytes,
} from "@isthmus/records";
import type { StoredKey, Write } from "./events.js";

export interface StoreView {
  /** Keys and hashes; values are not kept. */
  readonly records: RecordTable;
  /** The stored head, fence, store or config key. */
  meta(key: string): StoredKey | undefined;
  /** Applies a watch event; false when a newer state of the key is known, or this version does not know the key. */
  applyEvent(entry: StoredKey, deleted: boolean): boolean;
  /** Applies the writes of a committed txn of this publisher. */
  commit(writes: readonly Write[], revision: bigint): void;
  /** The sums of every kind after `writes`. */
  sumsAfter(writes: readonly Write[]): KindSum[];
}

const NO_VALUE = new Uint8Array(0);
const META = new Set<string>([HEAD_KEY, "fence", "store", "config"]);

/** `entries`: all keys of one listing; a later state of the prefix needs `applyEvent` or `commit`. */
export function createStoreView(entries: readonly StoredKey[]): StoreView {
  const records = createRecordTable();
  const meta = new Map<string, StoredKey>();
  const revisions = new Map<string, bigint>();
  let watchedRevision = 0n;

  const take = ({ key, value, modRevision }: StoredKey, deleted: boolean): boolean => {
    const kind = kindOfKey(key);
    if (kind === undefined && !META.has(key)) return false;
    if (modRevision < (revisions.get(key) ?? 0n)) return false;
    revisions.set(key, modRevision);
    if (kind === undefined) deleted ? meta.delete(key) : meta.set(key, { key, value, modRevision });
    else if (deleted) records.delete(key);
    else records.set({ kind, key, value: NO_VALUE, hash: recordHash(key, value) });
    return true;
  };
  for (const entry of entries) take(entry, false);
  return {
    records,
    meta: (key) => meta.get(key),
    applyEvent(entry, deleted) {
      if (entry.modRevision > watchedRevision) watchedRevision = entry.modRevision;
      const isNewer = take(entry, deleted);
      if (isNewer && deleted) revisions.delete(entry.key); // the watch delivers nothing older after it
      return isNewer;
    },
    commit(writes, modRevision) {
      if (modRevision <= watchedRevision) return; // the watch has reported it, and perhaps later changes
      for (const write of writes) {
        const value = write.type === "put" ? write.value : NO_VALUE;
        take({ key: write.key, value, modRevision }, write.type === "delete");
      }
    },
    sumsAfter: (writes) => sumsAfter(records, writes),
  };
}

function sumsAfter(records: RecordTable, writes: readonly Write[]): KindSum[] {
  const sums = new Map(
    records.sums(STORE_KINDS).map((sum) => [sum.kind, { count: sum.count, lanes: parseSum(sum.sum) }]),
  );
  for (const write of writes) {
    const kind = kindOfKey(write.key);
    const sum = kind === undefined ? undefined : sums.get(kind);
    if (kind === undefined || sum === undefined) continue;
    const old = records.get(write.key);
    if (old !== undefined) {
      accumulate(sum.lanes, old.hash, -1);
      sum.count--;
    }
    if (write.type === "put") {
      accumulate(sum.lanes, recordHash(write.key, write.value), 1);
      sum.count++;
    }
  }
  return STORE_KINDS.map((kind) => {
    const sum = sums.get(kind);
    return { kind, exported: true, count: sum?.count ?? 0, sum: sumBytes(sum?.lanes ?? emptySum()) };
  });
}
