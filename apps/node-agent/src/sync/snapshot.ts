/**
 * The disk snapshot of one source: its records at a position, for a start with empty maps (after a reboot).
 *
 * ```
 *   "MESHSNAP" | u32be layout | u32be cluster id | u32be length + Position | u32be count | records … | SHA-256 of all before
 *   record = u32be kind | u32be length + key | u32be length + value
 * ```
 * Pure. A file that is truncated, altered, or of another layout is refused as a whole, with an error that says why.
 */
import { createHash } from "node:crypto";
import { MeshError } from "@isthmus/model";
import { Position } from "@isthmus/proto";
import { type HashedRecord, hashRecord } from "@isthmus/records";

export interface Snapshot {
  readonly clusterId: number;
  readonly position: Position;
  readonly records: readonly HashedRecord[];
}

const MAGIC = Buffer.from("MESHSNAP");
const LAYOUT = 1;
const DIGEST = 32;

export function encodeSnapshot(clusterId: number, position: Position, records: Iterable<HashedRecord>): Buffer {
  const parts: Buffer[] = [];
  let count = 0;
  for (const { kind, key, value } of records) {
    parts.push(u32(kind), ...prefixed(Buffer.from(key)), ...prefixed(value));
    count++;
  }
  const at = Buffer.from(Position.encode(position).finish());
  const body = Buffer.concat([MAGIC, u32(LAYOUT), u32(clusterId), ...prefixed(at), u32(count), ...parts]);
  return Buffer.concat([body, createHash("sha256").update(body).digest()]);
}

/** Throws a `SNAPSHOT` error that says what is wrong with the file. */
export function decodeSnapshot(file: Uint8Array): Snapshot {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const body = bytes.subarray(0, Math.max(0, bytes.length - DIGEST));
  if (!body.subarray(0, MAGIC.length).equals(MAGIC)) throw refused("it is not a snapshot");
  if (!createHash("sha256").update(body).digest().equals(bytes.subarray(body.length))) {
    throw refused("its checksum differs: it was cut off or altered");
  }
  const read = createReader(body, MAGIC.length);
  const layout = read.u32();
  if (layout !== LAYOUT) throw refused(`it has layout ${layout}, this version reads ${LAYOUT}`);
  const clusterId = read.u32();
  const position = Position.decode(read.bytes());
  const records = Array.from({ length: read.u32() }, () => {
    const kind = read.u32();
    const key = read.bytes().toString();
    return hashRecord(kind, key, Buffer.from(read.bytes()));
  });
  return { clusterId, position, records };
}

function refused(why: string): MeshError<{ code: "SNAPSHOT" }> {
  return new MeshError({ code: "SNAPSHOT" }, `Cannot use the snapshot: ${why}`);
}

function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function prefixed(bytes: Uint8Array): [Buffer, Buffer] {
  return [u32(bytes.length), Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)];
}

function createReader(body: Buffer, start: number) {
  let at = start;
  const u32 = () => {
    at += 4;
    return body.readUInt32BE(at - 4);
  };
  const bytes = () => {
    const length = u32();
    at += length;
    if (at > body.length) throw refused("a length points beyond its end");
    return body.subarray(at - length, at);
  };
  return { u32, bytes };
}
