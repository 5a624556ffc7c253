/** The error of a map without room: the object waits for room, all others are written. */
import { MeshError } from "@isthmus/model";

export type MapFull = { readonly code: "MAP_FULL"; readonly map: string; readonly maxEntries: number };

/** All `maxEntries` entries of the map are used. */
export function mapFull(map: string, maxEntries: number): MeshError<MapFull> {
  return new MeshError(
    { code: "MAP_FULL", map, maxEntries },
    `Cannot add to ${map}: all ${maxEntries} entries are used`,
  );
}

/** True for a `MAP_FULL` error of any map: what it stopped may be tried again when something was freed. */
export function isMapFull(error: Error): boolean {
  return error instanceof MeshError && error.code === "MAP_FULL";
}
