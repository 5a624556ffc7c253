/**
 * Passes the records of deltas to the builders of their kinds. Several may read one kind, in the order of the list.
 *
 * ```
 *   clusters removed, in sync for the first time ─► upserts in the order of kinds ─► deletions in reverse
 * ```
 * It runs in slices, so that a first load does not block the event loop; all upserts are taken before the first
 * deletion. A record that cannot be read is refused; the others are taken. Records of a kind without a builder are
 * ignored.
 */
import { MeshError } from "@isthmus/model";
import type { Kind } from "@isthmus/proto";
import type { HashedRecord } from "@isthmus/records";
import type { Slices } from "@isthmus/runtime";
import { inApplyOrder, isRecord } from "./apply-order.js";
import type { Builder } from "./builder.js";
import type { RecordDelta } from "./record-delta.js";

export interface RecordDispatcherModules {
  /** Called in this order when a cluster is in sync for the first time or removed. */
  readonly builders: readonly Builder[];
  /** Real id of the local cluster. */
  readonly localClusterId: number;
  /** Called for a record that cannot be read. */
  readonly refuse: (clusterId: number, key: string, error: Error) => void;
}

export interface RecordDispatcher {
  /** Passes deltas on, those of a cluster in order. The work must be run to its end before the next one begins. */
  take(deltas: readonly RecordDelta[]): Slices<void>;
  /** Clusters (by their real id) that were in sync since the start; one is added once its records are taken. */
  readonly clustersInSync: ReadonlySet<number>;
}

/** Between two yields. */
const RECORDS_PER_SLICE = 32;

/** No cluster is in sync before the first `take`. What `upsert` of a builder throws goes to `refuse`. */
export function createRecordDispatcher({
  builders,
  localClusterId,
  refuse,
}: RecordDispatcherModules): RecordDispatcher {
  const buildersOf = new Map<Kind, Builder[]>();
  for (const each of builders)
    for (const kind of each.kinds) buildersOf.set(kind, [...(buildersOf.get(kind) ?? []), each]);
  const clustersInSync = new Set<number>();

  /** The deltas of each cluster, without those before its removal. */
  function* deltasByCluster(deltas: readonly RecordDelta[]): Slices<ReadonlyMap<number, readonly RecordDelta[]>> {
    const byCluster = new Map<number, RecordDelta[]>();
    for (const delta of deltas) {
      const id = delta.clusterId === 0 ? localClusterId : delta.clusterId;
      if (delta.transition === "removed") {
        byCluster.delete(id);
        clustersInSync.delete(id);
        for (const builder of builders) yield* builder.removeCluster?.(id) ?? [];
        continue;
      }
      if (delta.transition === "first")
        for (const builder of builders) yield* builder.beginSync?.(id, delta.upserts) ?? [];
      const own = byCluster.get(id);
      if (own === undefined) byCluster.set(id, [delta]);
      else own.push(delta);
    }
    return byCluster;
  }

  function upsert(id: number, record: HashedRecord): void {
    for (const builder of buildersOf.get(record.kind) ?? []) {
      try {
        builder.upsert(id, record);
      } catch (thrown) {
        refuse(id, record.key, MeshError.from(thrown, `Cannot read record "${record.key}"`));
      }
    }
  }

  return {
    clustersInSync,
    *take(deltas) {
      const byCluster = yield* deltasByCluster(deltas);
      const groups = yield* inApplyOrder(byCluster);
      let taken = 0;
      for (const { id, updates } of groups) {
        for (const update of updates) {
          if (++taken % RECORDS_PER_SLICE === 0) yield;
          if (isRecord(update)) upsert(id, update);
        }
      }
      for (const [id, own] of byCluster)
        if (own.some(({ transition }) => transition === "first")) clustersInSync.add(id);
      for (const builder of builders) yield* builder.afterUpserts?.(deltas, clustersInSync) ?? [];
      for (const { id, updates } of groups.reverse()) {
        for (const update of updates) {
          if (++taken % RECORDS_PER_SLICE === 0) yield;
          if (!isRecord(update)) for (const builder of buildersOf.get(update.kind) ?? []) builder.remove(id, update);
        }
      }
    },
  };
}
