/**
 * Floors in the pinned map mesh_floors: no position older than a source's floor is applied, whichever server sends it.
 *
 * A row's index is the cluster id, 0 = local cluster. It has two copies with a checksum: a write replaces the copy that
 * is not valid, then stores the word that names it. A half-written row keeps its other copy; a row with two broken
 * copies is no floor, and is listed in `broken`.
 */
import { FloorCopy, FloorRow, makeFloor, validFloor } from "@isthmus/bpf";
import type { Position } from "@isthmus/proto";
import type { ArrayPort } from "@isthmus/reconcile";
import { localPosition, remotePosition, versionsOf } from "@isthmus/records";

export interface Floors {
  /** By cluster id. */
  readonly byCluster: ReadonlyMap<number, Position>;
  /** Rows that name a copy although neither of their copies can be read. */
  readonly broken: readonly number[];
  /** Undefined clears the floor. Throws RangeError for a cluster id that has no row. */
  write(clusterId: number, position: Position | undefined): void;
}

/** Reads all rows at once; `byCluster` follows each `write`, `broken` does not. */
export function openFloors(port: ArrayPort): Floors {
  const all = new Map<number, Position>();
  const valid = new Map<number, number>();
  const broken: number[] = [];

  const rows = port.read(0, port.maxEntries);
  const words = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
  for (let id = 0; id < port.maxEntries; id++) {
    if (words.getUint32(id * FloorRow.size + FloorRow.offsets.valid, true) === 0) continue;
    const row = FloorRow.decode(rows, id * FloorRow.size);
    valid.set(id, row.valid);
    const copy = validFloor(row);
    if (copy === undefined) broken.push(id);
    else all.set(id, positionOf(id, copy));
  }

  return {
    byCluster: all,
    broken,
    write(clusterId, position) {
      if (position === undefined) {
        port.storeWord32(clusterId, FloorRow.offsets.valid, 0);
        valid.delete(clusterId);
        return void all.delete(clusterId);
      }
      const next = valid.get(clusterId) === 1 ? 2 : 1;
      const at = FloorRow.offsets.copy + (next - 1) * FloorCopy.size;
      port.writeBody(clusterId, FloorCopy.encode(copyOf(position)), at);
      port.storeWord32(clusterId, FloorRow.offsets.valid, next);
      valid.set(clusterId, next);
      all.set(clusterId, position);
    },
  };
}

function copyOf(position: Position): FloorCopy {
  const numbers = position.versions.length > 0 ? versionsOf(position) : [position.revision];
  const store = new Uint8Array(16);
  store.set(position.storeId.subarray(0, 16));
  return makeFloor(store, numbers);
}

function positionOf(clusterId: number, copy: FloorCopy): Position {
  const store = Buffer.from(copy.store);
  return clusterId === 0 ? localPosition(store, copy.position) : remotePosition(store, copy.position[0] ?? 0n);
}
