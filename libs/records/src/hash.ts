/**
 * The hash of a record: the first 16 bytes of SHA-256(u32be key length, key, value). It takes 2 µs, so records keep it.
 */
import { createHash } from "node:crypto";
import type { Kind } from "@isthmus/proto";
import type { HashedRecord } from "./types.js";

export function recordHash(key: string, value: Uint8Array): Uint8Array {
  const head = Buffer.allocUnsafe(4 + Buffer.byteLength(key));
  head.writeUInt32BE(head.length - 4, 0);
  head.write(key, 4);
  return createHash("sha256").update(head).update(value).digest().subarray(0, 16);
}

export function hashRecord(kind: Kind, key: string, value: Uint8Array): HashedRecord {
  return { kind, key, value, hash: recordHash(key, value) };
}

/** The bucket of a key: the first byte of SHA-256(key). */
export function bucketOf(key: string): number {
  return createHash("sha256").update(key).digest()[0] ?? 0;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || (a.length === b.length && Buffer.compare(a, b) === 0);
}

/** Wraps the bytes, without a copy, as the `Buffer` that generated messages expect. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
