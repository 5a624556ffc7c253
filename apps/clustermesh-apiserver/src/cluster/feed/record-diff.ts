/**
 * Keeps the records of each owner, and collects the differences since the last `take`.
 *
 * In: the whole set of an owner's records. Out of `take`: upserts and deletes; an unchanged record is not in it.
 */
import type { HashedRecord, SourceChange } from "@isthmus/records";
import { sameBytes } from "@isthmus/records";

export type RecordChange = Pick<SourceChange, "upserts" | "deletes">;

/** Records are compared by hash. A key must belong to one owner only; an owner without records is forgotten. */
export function createRecordDiff() {
  /** Lists, not maps: most owners of tens of thousands have one record. */
  const byOwner = new Map<string, readonly HashedRecord[]>();
  let upserts = new Map<string, HashedRecord>();
  let deletes = new Map<string, HashedRecord>();

  return {
    set(owner: string, records: readonly HashedRecord[]): void {
      const before = new Map(byOwner.get(owner)?.map((record) => [record.key, record]));
      const now = new Map(records.map((record) => [record.key, record]));
      if (now.size === 0) byOwner.delete(owner);
      else byOwner.set(owner, [...now.values()]);
      for (const [key, record] of now) {
        const old = before.get(key);
        if (old !== undefined && sameBytes(old.hash, record.hash)) continue;
        deletes.delete(key);
        upserts.set(key, record);
      }
      for (const [key, record] of before) {
        if (now.has(key)) continue;
        upserts.delete(key);
        deletes.set(key, record);
      }
    },
    take(): RecordChange {
      const change = {
        upserts: [...upserts.values()],
        deletes: [...deletes.values()].map(({ kind, key }) => ({ kind, key })),
      };
      upserts = new Map();
      deletes = new Map();
      return change;
    },
  };
}
