/** Which positions a source can have. Pure. */
import type { Position } from "@isthmus/proto";
import { isStoreId, VERSION_TYPES } from "@isthmus/records";

/** A store that has a name, and numbers in the shape of this source: a floor can be written of it. */
export function isPositionOf(clusterId: number, position: Position | undefined): position is Position {
  if (position === undefined) return false;
  const { storeId, revision, versions } = position;
  if (!isStoreId(storeId)) return false;
  if (clusterId !== 0) return versions.length === 0;
  return revision === 0n && versions.length > 0 && versions.length <= VERSION_TYPES.length;
}
