/**
 * What stands under the cluster's prefix, as far as the publisher knows: records with their sums, and the keys beside
 * them, each with the revision that wrote it. News older than what is known is ignored: a watch may lag behind our txns.
 */
import { HEAD_KEY } from "@isthmus/kvstore";
import type { KindSum } from "@isthmus/proto";
import {
  accumulate,
  createRecordTable,
  emptySum,
  hashRecord,
  kindOfKey,
  parseSum,
  type RecordTable,
  STORE_KINDS,
  sumBytes,
} from "@isthmus/records";
import type { Standing, Write } from "./events.js";

export interface Stored {
  readonly records: RecordTable;
  /** head, fence, store, config. */
  meta(key: string): Standing | undefined;
  /** Keys that are neither: nobody's, to be removed. */
  readonly strangers: ReadonlySet<string>;
  /** Takes a key's state; false when something newer is known. */
  take(entry: Standing, deleted: boolean): boolean;
  /** Takes what one of our txns wrote. */
  commit(writes: readonly Write[], revision: bigint): void;
  /** The sums of every kind once `writes` are done. */
  sumsAfter(writes: readonly Write[]): KindSum[];
}

const META = new Set<string>([HEAD_KEY, "fence", "store", "config"]);

export function createStored(entries: readonly Standing[]): Stored {
  const records = createRecordTable();
  const meta = new Map<string, Standing>();
  const strangers = new Set<string>();
  const revisions = new Map<string, bigint>();

  const take = (entry: Standing, deleted: boolean): boolean => {
    const { key, value, modRevision } = entry;
    if (modRevision < (revisions.get(key) ?? 0n)) return false;
    revisions.set(key, modRevision);
    const kind = kindOfKey(key);
    if (META.has(key)) deleted ? meta.delete(key) : meta.set(key, entry);
    else if (kind === undefined) deleted ? strangers.delete(key) : strangers.add(key);
    else if (deleted) records.delete(key);
    else records.set(hashRecord(kind, key, value));
    return true;
  };
  for (const entry of entries) take(entry, false);
  return {
    records,
    meta: (key) => meta.get(key),
    strangers,
    take,
    commit(writes, modRevision) {
      for (const write of writes) {
        const value = write.type === "put" ? write.value : new Uint8Array(0);
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
      accumulate(sum.lanes, hashRecord(kind, write.key, write.value).hash, 1);
      sum.count++;
    }
  }
  return STORE_KINDS.map((kind) => {
    const sum = sums.get(kind);
    return { kind, exported: true, count: sum?.count ?? 0, sum: sumBytes(sum?.lanes ?? emptySum()) };
  });
}
