/**
 * Plays the server's side of one source in an agent's test: records with an increasing position, and the messages that
 * carry them. Unlike the server it has no cursors and no tombstones.
 */
import type { Batch, Buckets, Mark, Position, RecordKey, ToAgent } from "@isthmus/proto";
import { bucketOf, createRecordTable, type HashedRecord, KINDS, type RecordTable } from "@isthmus/records";

export interface RecordSource {
  readonly clusterId: number;
  readonly table: RecordTable;
  readonly position: Position;
  /** Changes the source; returns the batch with the change. */
  change(upserts: readonly HashedRecord[], deletes?: readonly HashedRecord[]): ToAgent;
  /** A first sync in batches of `size`, ended by `last` and a mark. */
  firstSync(size?: number): ToAgent[];
  mark(): ToAgent;
  /** Returns all 256 buckets of one kind, also those whose sums are equal. */
  answer(asked: Buckets): ToAgent[];
}

export interface RecordSourceOptions {
  /** 0 = local cluster, whose positions are vectors. */
  readonly clusterId: number;
  readonly storeId?: Uint8Array;
}

export function createRecordSource(options: RecordSourceOptions): RecordSource {
  const table = createRecordTable();
  const storeId = Buffer.from(options.storeId ?? Buffer.alloc(16, options.clusterId + 1));
  let at = 1n;

  const position = (): Position =>
    options.clusterId === 0
      ? { storeId, revision: 0n, versions: Array.from({ length: 8 }, () => at), added: [at] }
      : { storeId, revision: at, versions: [], added: [] };

  const batch = (value: Partial<Batch>): ToAgent => ({
    message: {
      $case: "batch",
      value: {
        clusterId: options.clusterId,
        from: undefined,
        to: position(),
        upserts: [],
        deletes: [],
        observedUs: 0n,
        last: false,
        ...value,
      },
    },
  });
  const wire = ({ kind, key, value }: HashedRecord) => ({ kind, key, value: Buffer.from(value) });

  function mark(): ToAgent {
    const sums = table.sums(KINDS).map((sum) => ({ ...sum, sum: Buffer.from(sum.sum) }));
    const value: Mark = { clusterId: options.clusterId, position: position(), sums };
    return { message: { $case: "mark", value } };
  }

  return {
    clusterId: options.clusterId,
    table,
    get position() {
      return position();
    },
    change(upserts, deletes = []) {
      const from = position();
      at++;
      for (const record of upserts) table.set(record);
      for (const record of deletes) table.delete(record.key);
      const deletedKeys: RecordKey[] = deletes.map(({ kind, key }) => ({ kind, key }));
      return batch({ from, to: position(), upserts: upserts.map(wire), deletes: deletedKeys });
    },
    firstSync(size = 1000) {
      const all = [...table.records()].map(wire);
      const messages: ToAgent[] = [];
      for (let i = 0; i < all.length; i += size) messages.push(batch({ upserts: all.slice(i, i + size) }));
      return [...messages, batch({ last: true }), mark()];
    },
    mark,
    answer({ kind }) {
      const records = Array.from({ length: 256 }, (): HashedRecord[] => []);
      for (const record of table.records(kind)) records[bucketOf(record.key)]?.push(record);
      return records.map((bucket, index): ToAgent => {
        const value = { clusterId: options.clusterId, kind, index, records: bucket.map(wire), position: position() };
        return { message: { $case: "bucket", value: { ...value, last: index === 255 } } };
      });
    },
  };
}
