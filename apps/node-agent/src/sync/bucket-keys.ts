/**
 * Indexes the keys of some kinds by bucket while buckets are exchanged, so that a received bucket is compared with its
 * own keys only. The index is made with the sums that are sent, and gets the key of every record that arrives
 * meanwhile.
 */
import type { Buckets, Kind } from "@isthmus/proto";
import { accumulate, BUCKETS, bucketOf, emptySum, type RecordTable, sumBytes } from "@isthmus/records";

export interface BucketKeys {
  /** Returns the sums of one kind, to be sent; indexes its keys from now on. */
  begin(clusterId: number, table: RecordTable, kind: Kind): Buckets;
  /** A record was put. */
  put(kind: Kind, key: string): void;
  /** Keys that are, or were since `begin`, in a bucket. */
  of(kind: Kind, index: number): Iterable<string>;
  /** Forgets the keys of all kinds; `of` returns none until the next `begin`. */
  clear(): void;
}

/** No kind is indexed. */
export function createBucketKeys(): BucketKeys {
  const indexes = new Map<Kind, Set<string>[]>();
  return {
    begin(clusterId, table, kind) {
      const sums = Array.from({ length: BUCKETS }, emptySum);
      const keys = Array.from({ length: BUCKETS }, () => new Set<string>());
      for (const record of table.records(kind)) {
        const index = bucketOf(record.key);
        const sum = sums[index];
        if (sum !== undefined) accumulate(sum, record.hash, 1);
        keys[index]?.add(record.key);
      }
      indexes.set(kind, keys);
      return { clusterId, kind, sums: sums.map((sum) => Buffer.from(sumBytes(sum))) };
    },
    put(kind, key) {
      const keys = indexes.get(kind);
      if (keys !== undefined) keys[bucketOf(key)]?.add(key);
    },
    of: (kind, index) => indexes.get(kind)?.[index] ?? [],
    clear: () => indexes.clear(),
  };
}
