/** The error of a map without room: the object waits for room, all others are written. */
import { MeshError } from "@isthmus/model";

/** Codes of this package's errors with their data; docs/reference/errors.md is made of them. */
export type MapFullErrorData =
  /**
   * A map of this node has no room: what does not fit waits, everything else is written and served. Fix: `mesh status` and the log
   * name the map. Give the agent a larger size with --map-sizes, which takes it over while traffic goes on, or share fewer Services
   * from other clusters; `mesh_map_entries` and `mesh_map_capacity` show how full the maps are.
   */
  { readonly code: "MAP_FULL"; readonly map: string; readonly maxEntries: number };

/** All `maxEntries` entries of the map are used. */
export function mapFull(map: string, maxEntries: number): MeshError<MapFullErrorData> {
  return new MeshError(
    { code: "MAP_FULL", map, maxEntries },
    `Cannot add to ${map}: all ${maxEntries} entries are used`,
  );
}

/** True for a `MAP_FULL` error of any map: what it stopped may be tried again when something was freed. */
export function isMapFull(error: Error): boolean {
  return error instanceof MeshError && error.code === "MAP_FULL";
}
