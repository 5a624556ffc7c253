/**
 * Stores the records of a source as they arrive, and returns what each message changes downstream.
 *
 * Every record of a known kind is stored, since the digests count it; only one whose key has the shape of its kind goes
 * downstream. Records of an unknown kind (of a newer version) are ignored. Pure.
 */
import type { Batch, Bucket, Buckets, Kind } from "@isthmus/proto";
import type { RecordTable } from "@isthmus/records";
import { bucketOf, createRecordTable, type HashedRecord, hashRecord, KINDS, sameBytes } from "@isthmus/records";
import { inSlices, type Slices } from "@isthmus/runtime";
import type { RecordName } from "../desired/records/record-delta.js";
import { createBucketKeys } from "./bucket-keys.js";
import { hasKeyOf } from "./key-shape.js";
import type { SourceEvent } from "./source-types.js";

/** What a message changes downstream, and the events of what was refused. */
export interface AcceptedRecords {
  /** New and changed records, in the order of the message. */
  readonly upserts: readonly HashedRecord[];
  /** Records that were valid before and are now gone or invalid. */
  readonly deletes: readonly RecordName[];
  /** Each at most once, however many records were refused. */
  readonly events: readonly SourceEvent[];
}

export interface ReceivedRecords {
  /** All that is stored, also what does not go downstream; the sums are of it. */
  readonly table: RecordTable;
  /** Takes the upserts, then the deletions; the deletion of an unknown record changes nothing. */
  batch(message: Pick<Batch, "upserts" | "deletes">): AcceptedRecords;
  /** Replaces the records of one bucket. */
  bucket(message: Bucket): AcceptedRecords;
  /** Adds the records of a disk snapshot. */
  restore(records: Iterable<HashedRecord>): Slices<void>;
  /** All records that go downstream, in apply order. */
  all(): HashedRecord[];
  /** A first sync begins: from now on it is known which records it names. */
  beginNaming(): void;
  /** Removes and returns the records of these kinds that the first sync did not name. */
  removeUnnamed(kinds: ReadonlySet<Kind>): readonly HashedRecord[];
  /** Puts back what `removeUnnamed` removed. */
  putBack(records: readonly HashedRecord[]): void;
  /** The deletions downstream for records that were removed. */
  namesOf(records: Iterable<HashedRecord>): RecordName[];
  /** Returns the sums of a kind, to be sent; its buckets can be received from now on. */
  sums(clusterId: number, kind: Kind): Buckets;
  /** Ends a first sync and an exchange of buckets. */
  endSync(): void;
}

const RECORDS_PER_SLICE = 64;
const KNOWN_KINDS: ReadonlySet<Kind> = new Set(KINDS);

/** Empty; a source makes a new one when it is removed. */
export function createReceivedRecords(): ReceivedRecords {
  const table = createRecordTable();
  /** Keys of records that are stored for the digest only. */
  const bad = new Set<string>();
  /** Keys of the stored records that a first sync named; undefined while none runs. */
  let named: Set<string> | undefined;
  const bucketKeys = createBucketKeys();

  /** Collects what one message changes. */
  class Change {
    readonly upserts: HashedRecord[] = [];
    readonly deletes: RecordName[] = [];
    readonly refused = new Set<SourceEvent>();

    put({ kind, key, value }: Batch["upserts"][number]): void {
      if (!KNOWN_KINDS.has(kind)) return void this.refused.add("unknown-kind");
      named?.add(key);
      const record = hashRecord(kind, key, value);
      const wasBad = bad.has(key);
      const old = set(record);
      if (bad.has(key)) {
        this.refused.add("bad-record");
        if (old !== undefined && !wasBad) this.deletes.push({ kind: old.kind, key });
      } else if (wasBad || old === undefined || !sameBytes(old.hash, record.hash)) this.upserts.push(record);
    }

    drop(key: string): void {
      named?.delete(key);
      const old = table.delete(key);
      if (old !== undefined && !bad.delete(key)) this.deletes.push({ kind: old.kind, key });
    }

    get accepted(): AcceptedRecords {
      return { upserts: this.upserts, deletes: this.deletes, events: [...this.refused] };
    }
  }

  function set(record: HashedRecord): HashedRecord | undefined {
    const { kind, key } = record;
    if (hasKeyOf(kind, key)) bad.delete(key);
    else bad.add(key);
    bucketKeys.put(kind, key);
    return table.set(record);
  }

  function withoutBad(records: HashedRecord[]): HashedRecord[] {
    return bad.size === 0 ? records : records.filter(({ key }) => !bad.has(key));
  }

  return {
    table,
    batch({ upserts, deletes }) {
      const change = new Change();
      for (const record of upserts) change.put(record);
      for (const { key } of deletes) change.drop(key);
      return change.accepted;
    },
    bucket({ kind, index, records }) {
      const change = new Change();
      const fitting = records.filter((record) => record.kind === kind && bucketOf(record.key) === index);
      if (fitting.length < records.length) change.refused.add("bad-bucket");
      const named = new Set(fitting.map(({ key }) => key));
      for (const key of bucketKeys.of(kind, index)) {
        if (!named.has(key) && table.get(key)?.kind === kind) change.drop(key);
      }
      for (const record of fitting) change.put(record);
      return change.accepted;
    },
    restore(records) {
      return inSlices(records, RECORDS_PER_SLICE, (record) => {
        if (KNOWN_KINDS.has(record.kind)) set(record);
      });
    },
    all: () => withoutBad([...table.records()]),
    beginNaming() {
      bucketKeys.clear();
      named = new Set();
    },
    removeUnnamed(kinds) {
      const known = named;
      // In most first syncs every record is named.
      if (known === undefined || known.size === table.size) return [];
      const records = [...table.records()].filter(({ kind, key }) => kinds.has(kind) && !known.has(key));
      for (const { key } of records) table.delete(key);
      return records;
    },
    putBack(records) {
      for (const record of records) table.set(record);
    },
    namesOf: (records) => withoutBad([...records]).map(({ kind, key }) => ({ kind, key })),
    sums: (clusterId, kind) => bucketKeys.begin(clusterId, table, kind),
    endSync() {
      named = undefined;
      bucketKeys.clear();
    },
  };
}
