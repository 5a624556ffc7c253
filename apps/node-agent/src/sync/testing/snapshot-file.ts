/** The files of disk snapshots as whole buffers. */
import type { Position } from "@isthmus/proto";
import type { HashedRecord } from "@isthmus/records";
import { whole } from "../../testing/whole.js";
import { decodeSnapshot, encodeSnapshot, type Snapshot } from "../snapshot.js";

export function snapshotFile(clusterId: number, position: Position, records: Iterable<HashedRecord>): Buffer {
  return Buffer.concat([...encodeSnapshot(clusterId, position, [...records])]);
}

export function readSnapshot(file: Uint8Array): Snapshot {
  return whole(decodeSnapshot(file));
}
