/**
 * Free rows of a map whose objects belong to clusters. One row in four is reserved for the local cluster: a peer that
 * fills its part stops no object of this one.
 */
import { MeshError } from "@isthmus/model";
import { type ArrayPort, type MapFullErrorData, mapFull } from "@isthmus/reconcile";
import type { Slices } from "@isthmus/runtime";
import { createIndexPool } from "./index-pool.js";

export interface RowPool {
  /** Index of a free row for an object of this cluster. Throws `MAP_FULL`. */
  take(cluster: number): number;
  /** Frees a row that was taken or adopted, once. */
  give(index: number): void;
  /** Rows that are taken, of all clusters. */
  readonly used: number;
  /** Rows of the map without index 0, those that are reserved included. */
  readonly capacity: number;
}

/** `taken`: rows that were adopted. `localCluster`: its id; undefined = nothing is reserved. */
export function* createRowPool(
  { name, maxEntries }: Pick<ArrayPort, "name" | "maxEntries">,
  taken: ReadonlySet<number>,
  localCluster: number | undefined,
): Slices<RowPool> {
  const pool = yield* createIndexPool(maxEntries, taken);
  const shared = maxEntries - reservedRows(maxEntries);
  return {
    take(cluster) {
      if (localCluster !== undefined && cluster !== localCluster && pool.used >= shared)
        throw mapShareFull(name, shared);
      const index = pool.take();
      if (index === undefined) throw mapFull(name, maxEntries);
      return index;
    },
    give: pool.give,
    get used() {
      return pool.used;
    },
    capacity: pool.capacity,
  };
}

function reservedRows(maxEntries: number): number {
  return Math.floor(maxEntries / 4);
}

/** All entries that other clusters may use are used; the rest are reserved for the local cluster. */
function mapShareFull(map: string, share: number): MeshError<MapFullErrorData> {
  return new MeshError(
    { code: "MAP_FULL", map, maxEntries: share },
    `Cannot add to ${map}: all ${share} entries that other clusters may use are used; share fewer Services there`,
  );
}
