/** The change that the reader emits to the index: content with the position at which it is complete. */
import { type HashedRecord, remotePosition, type SourceChange } from "@isthmus/records";
import type { ReaderEffect } from "./events.js";
import type { DeletedRecord } from "./received-records.js";
import type { ReaderState } from "./state.js";

/** Sets `state.position`. Throws an Error while there is neither a store id nor an earlier position. */
export function emit(
  state: ReaderState,
  upserts: HashedRecord[],
  deletes: readonly DeletedRecord[],
  observedMicros: number,
): ReaderEffect {
  const { storeId, positionStoreId = storeId, revision } = state;
  const position = positionStoreId === undefined ? state.position : remotePosition(positionStoreId, revision);
  if (position === undefined) throw new Error("Cannot emit a change before the store id is known");
  state.position = position;
  const change: SourceChange = { upserts, deletes: [...deletes], position, observedMicros };
  return { type: "emit", change };
}
