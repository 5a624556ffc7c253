/**
 * The disk snapshot of one source: its records at a position, for a start with empty maps (after a reboot).
 *
 * ```
 *   "MESHSNAP" | u32be layout | u32be cluster id | u32be length + Position | u32be count | records … | SHA-256 of all before
 *   record = u32be kind | u32be length + key | u32be length + value
 * ```
 * Pure, and in slices: a large cluster has tens of megabytes. A file that is truncated, altered, or of another layout is refused as a whole, with an error that says why.
 */
import { createHash } from "node:crypto";
import { MeshError } from "@isthmus/model";
import { Position } from "@isthmus/proto";
import { type HashedRecord, hashRecord } from "@isthmus/records";
import type { Slices } from "@isthmus/runtime";

export interface Snapshot {
  /** As on the wire: 0 = local cluster. */
  readonly clusterId: number;
  /** Where the source was when it had these records. */
  readonly position: Position;
  /** All that the source stored, in the order of the file. */
  readonly records: readonly HashedRecord[];
}

const MAGIC = Buffer.from("MESHSNAP");
const LAYOUT = 1;
const DIGEST = 32;
/** Bytes that are encoded or hashed in one slice. */
const PART = 256 * 1024;
const RECORDS_PER_SLICE = 64;

/** The file, in parts of about 256 KiB. The records must not change meanwhile. */
export function* encodeSnapshot(
  clusterId: number,
  position: Position,
  records: readonly HashedRecord[],
): Generator<Uint8Array, void> {
  const hash = createHash("sha256");
  const at = Position.encode(position).finish();
  let part = Buffer.allocUnsafe(PART);
  let used = MAGIC.copy(part);

  const u32 = (value: number): void => {
    used = part.writeUInt32BE(value, used);
  };
  const prefixed = (bytes: Uint8Array): void => {
    u32(bytes.length);
    part.set(bytes, used);
    used += bytes.length;
  };
  /** Ends the part. */
  const take = (): Uint8Array => {
    const taken = part.subarray(0, used);
    hash.update(taken);
    return taken;
  };

  u32(LAYOUT);
  u32(clusterId);
  prefixed(at);
  u32(records.length);
  for (const { kind, key, value } of records) {
    const bytes = Buffer.from(key);
    const size = 12 + bytes.length + value.length;
    if (used + size > part.length) {
      yield take();
      part = Buffer.allocUnsafe(Math.max(PART, size));
      used = 0;
    }
    u32(kind);
    prefixed(bytes);
    prefixed(value);
  }
  yield take();
  yield hash.digest();
}

/** Throws a `SNAPSHOT` error that says what is wrong with the file. */
export function* decodeSnapshot(file: Uint8Array): Slices<Snapshot> {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const body = bytes.subarray(0, Math.max(0, bytes.length - DIGEST));
  if (!body.subarray(0, MAGIC.length).equals(MAGIC)) throw refused("it is not a snapshot");
  const hash = createHash("sha256");
  for (let from = 0; from < body.length; from += PART) {
    hash.update(body.subarray(from, from + PART));
    yield;
  }
  if (!hash.digest().equals(bytes.subarray(body.length))) {
    throw refused("its checksum differs: it was cut off or altered");
  }
  const read = createReader(body, MAGIC.length);
  const layout = read.u32();
  if (layout !== LAYOUT) throw refused(`it has layout ${layout}, this version reads ${LAYOUT}`);
  const clusterId = read.u32();
  const position = Position.decode(read.bytes());
  const records: HashedRecord[] = [];
  for (let left = read.u32(); left > 0; left--) {
    const kind = read.u32();
    const key = read.bytes().toString();
    records.push(hashRecord(kind, key, Buffer.from(read.bytes())));
    if (left % RECORDS_PER_SLICE === 0) yield;
  }
  return { clusterId, position, records };
}

function refused(why: string): MeshError<{ code: "SNAPSHOT" }> {
  return new MeshError({ code: "SNAPSHOT" }, `Cannot use the snapshot: ${why}`);
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
