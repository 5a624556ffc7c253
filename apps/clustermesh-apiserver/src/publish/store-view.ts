/**
 * What stands under the cluster's prefix, as far as the publisher knows: records with their sums, and the keys beside
 * them, each with the revision that wrote it. News older than what is known is ignored: a watch may lag behind our txns.
 *
 * A key that this version does not know belongs to a newer version, which may return: it is left alone and not counted (ADR 20).
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
  /** head, fence, store, config. */
  meta(key: string): StoredKey | undefined;
  /** Takes an event of the watch; false when a newer one of the key is known, or this version does not know such keys. */
  see(entry: StoredKey, deleted: boolean): boolean;
  /** Takes what one of our txns wrote. */
  commit(writes: readonly Write[], revision: bigint): void;
  /** The sums of every kind once `writes` are done. */
  sumsAfter(writes: readonly Write[]): KindSum[];
}

const NO_VALUE = new Uint8Array(0);
const META = new Set<string>([HEAD_KEY, "fence", "store", "config"]);

export function createStoreView(entries: readonly StoredKey[]): StoreView {
  const records = createRecordTable();
  const meta = new Map<string, StoredKey>();
  const revisions = new Map<string, bigint>();
  let seen = 0n;

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
    see(entry, deleted) {
      if (entry.modRevision > seen) seen = entry.modRevision;
      const news = take(entry, deleted);
      if (news && deleted) revisions.delete(entry.key); // nothing older can come any more
      return news;
    },
    commit(writes, modRevision) {
      if (modRevision <= seen) return; // the watch has told it, and perhaps what came after
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
