/**
 * Rows of mesh_floors: two copies with a checksum, of which one is valid; and the rows of its layout before.
 */
import { createHash } from "node:crypto";
import { type FloorCopy, FloorRow, FloorRowV1, Limit } from "./gen/index.js";

/** A copy with its checksum. `numbers`: at most 16; missing ones are 0. */
export function makeFloor(store: Uint8Array, numbers: readonly bigint[]): FloorCopy {
  const position = Array.from({ length: Limit.FloorPositions }, (_, i) => numbers[i] ?? 0n);
  return { store, position, checksum: floorChecksum({ store, position }) };
}

/** `floor_copy.checksum`: the first 8 bytes, little endian, of SHA-256 over store and positions as they are encoded. */
function floorChecksum({ store, position }: Pick<FloorCopy, "store" | "position">): bigint {
  const positions = Buffer.from(BigUint64Array.from(position).buffer);
  return createHash("sha256").update(store).update(positions).digest().readBigUInt64LE(0);
}

/** The copy of a row that counts: the named one, or, when that is half written, the other. */
export function validFloor({ valid, copy }: Pick<FloorRow, "valid" | "copy">): FloorCopy | undefined {
  const [first, second] = copy;
  return (valid === 2 ? [second, first] : [first, second]).find(isComplete);
}

/** A copy of zeros only was never written; one with another checksum is half written. */
function isComplete(copy: FloorCopy | undefined): copy is FloorCopy {
  return copy !== undefined && copy.checksum === floorChecksum(copy) && copy.store.some((byte) => byte !== 0);
}

/** A row of mesh_floors_v1 in the layout of now. One whose floor cannot be read names a copy that is not complete. */
export function convertFloor(row: Uint8Array): Uint8Array {
  const older = FloorRowV1.decode(row);
  const floor = older.valid === 0 ? undefined : validFloor(older);
  if (floor === undefined) return FloorRow.encode({ valid: older.valid, copy: [] });
  return FloorRow.encode({ valid: 1, copy: [makeFloor(floor.store, floor.position)] });
}
