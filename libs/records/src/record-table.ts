/**
 * Records by key, with a digest per kind that every write updates: O(1) per change.
 *
 * Used wherever a component must report its content: the publisher (records in the store), the reader (records
 * received, including refused ones), the index (records sent to agents).
 */
import type { Kind, KindSum } from "@isthmus/proto";
import { KINDS } from "./kinds.js";
import { accumulate, emptySum, type Sum, sumBytes } from "./sum.js";
import type { HashedRecord, KindDigest } from "./types.js";

export interface RecordTable {
  /** The record with this key, of any kind. */
  get(key: string): HashedRecord | undefined;
  /** Puts a record; returns the one it replaced. */
  set(record: HashedRecord): HashedRecord | undefined;
  /** Removes a record; returns it, or undefined when there was none. */
  delete(key: string): HashedRecord | undefined;
  /** Records of all kinds. */
  readonly size: number;
  /** Bytes of all keys and values. */
  readonly bytes: number;
  /** Records of one kind, or of all kinds in apply order. */
  records(kind?: Kind): Iterable<HashedRecord>;
  /** Zeros for a kind without records. */
  digest(kind: Kind): KindDigest;
  /** Digests of `kinds` in their order, each marked as exported. */
  sums(kinds: readonly Kind[]): KindSum[];
}

interface KindTable {
  readonly records: Map<string, HashedRecord>;
  readonly sum: Sum;
}

/** An empty table. */
export function createRecordTable(): RecordTable {
  const kindTables = new Map<Kind, KindTable>(KINDS.map((kind) => [kind, { records: new Map(), sum: emptySum() }]));
  const kinds = new Map<string, Kind>();
  let bytes = 0;
  const kindTable = (kind: Kind): KindTable => {
    const existing = kindTables.get(kind) ?? { records: new Map(), sum: emptySum() };
    kindTables.set(kind, existing);
    return existing;
  };
  const remove = (key: string): HashedRecord | undefined => {
    const kind = kinds.get(key);
    if (kind === undefined) return undefined;
    const { records, sum } = kindTable(kind);
    const old = records.get(key);
    if (old !== undefined) {
      accumulate(sum, old.hash, -1);
      bytes -= old.key.length + old.value.length;
    }
    records.delete(key);
    kinds.delete(key);
    return old;
  };
  const digest = (kind: Kind): KindDigest => {
    const { records, sum } = kindTable(kind);
    return { count: records.size, sum: sumBytes(sum) };
  };
  return {
    get: (key) => {
      const kind = kinds.get(key);
      return kind === undefined ? undefined : kindTables.get(kind)?.records.get(key);
    },
    set: (record) => {
      const old = remove(record.key);
      const { records, sum } = kindTable(record.kind);
      records.set(record.key, record);
      kinds.set(record.key, record.kind);
      accumulate(sum, record.hash, 1);
      bytes += record.key.length + record.value.length;
      return old;
    },
    delete: remove,
    get size() {
      return kinds.size;
    },
    get bytes() {
      return bytes;
    },
    *records(kind) {
      if (kind !== undefined) yield* kindTable(kind).records.values();
      else for (const each of kindTables.values()) yield* each.records.values();
    },
    digest,
    sums: (wanted) =>
      wanted.map((kind) => {
        const { count, sum } = digest(kind);
        return { kind, exported: true, count, sum };
      }),
  };
}

/** True when both have the same counts and sums; kinds that are missing or not exported count as empty. */
export function sameSums(a: readonly KindSum[], b: readonly KindSum[]): boolean {
  const text = (sums: readonly KindSum[]): string =>
    sums
      .filter((sum) => sum.exported && sum.count > 0)
      .map((sum) => `${sum.kind}:${sum.count}:${Buffer.from(sum.sum).toString("hex")}`)
      .sort()
      .join(" ");
  return text(a) === text(b);
}
