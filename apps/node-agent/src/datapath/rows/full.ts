/** The error of a map without room: the object waits for room, all others are written. */
import { MeshError } from "@isthmus/model";

export type MapFull = { readonly code: "MAP_FULL"; readonly map: string; readonly maxEntries: number };

export function mapFull(map: string, maxEntries: number): MeshError<MapFull> {
  return new MeshError(
    { code: "MAP_FULL", map, maxEntries },
    `Cannot add to ${map}: all ${maxEntries} entries are used`,
  );
}

/** All entries that other clusters may use are used; the rest are reserved for the local cluster. */
export function mapShareFull(map: string, share: number): MeshError<MapFull> {
  return new MeshError(
    { code: "MAP_FULL", map, maxEntries: share },
    `Cannot add to ${map}: all ${share} entries that other clusters may use are used; share fewer Services there`,
  );
}

export function isMapFull(error: Error): boolean {
  return error instanceof MeshError && error.code === "MAP_FULL";
}
