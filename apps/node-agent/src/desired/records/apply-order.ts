/**
 * Reduces deltas to the last update of each record, in the order in which kinds are applied.
 *
 * In: the deltas of each cluster, oldest first. Out: groups of one kind and cluster; deletions are applied in reverse.
 */

import { applyRank, type HashedRecord, KINDS } from "@isthmus/records";
import { inSlices, type Slices } from "@isthmus/runtime";
import type { RecordDelta, RecordName } from "./record-delta.js";

/** The update of one record: the record, or only its name where it is deleted. */
type RecordUpdate = HashedRecord | RecordName;

/** False for a deletion. */
export function isRecord(update: RecordUpdate): update is HashedRecord {
  return "value" in update;
}

/** The updates of one kind in one cluster. */
export interface Group {
  /** Real id of the cluster. */
  readonly id: number;
  /** Each record at most once. */
  readonly updates: RecordUpdate[];
}

const RECORDS_PER_SLICE = 256;

/** In the apply order of kinds; within a kind the order has no meaning. */
export function* inApplyOrder(clusters: ReadonlyMap<number, readonly RecordDelta[]>): Slices<Group[]> {
  const byRank: Group[][] = Array.from({ length: KINDS.length + 1 }, () => []);
  for (const [id, deltas] of clusters) {
    const own = byRank.map((groups) => {
      const group: Group = { id, updates: [] };
      groups.push(group);
      return group;
    });
    yield* inSlices(yield* lastUpdates(deltas), RECORDS_PER_SLICE, (update) => {
      own[applyRank(update.kind)]?.updates.push(update);
    });
  }
  return byRank.flat();
}

/** The last update of each record of a cluster. */
function* lastUpdates(deltas: readonly RecordDelta[]): Slices<Iterable<RecordUpdate>> {
  const [only] = deltas;
  // In a first load each record occurs once.
  if (only?.transition === "first" && deltas.length === 1 && only.deletes.length === 0) return only.upserts;
  const updates = new Map<string, RecordUpdate>();
  for (const { upserts, deletes } of deltas) {
    yield* inSlices(upserts, RECORDS_PER_SLICE, (record) => void updates.set(record.key, record));
    yield* inSlices(deletes, RECORDS_PER_SLICE, (name) => void updates.set(name.key, name));
  }
  return updates.values();
}
