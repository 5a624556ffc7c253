/**
 * The hash of a record: the first 16 bytes of SHA-256(u32be key length, key, value). It takes 2 µs, so records keep it.
 *
 * Hashes are made in one call each: a `Hash` object and a buffer of its own per record would make garbage collections of
 * a first load several times as long.
 */
import { hash } from "node:crypto";
import type { Kind } from "@isthmus/proto";
import type { HashedRecord } from "./types.js";

/** 16 bytes. `key` is relative to the prefix of the source, so the hash is the same in every store. */
export function recordHash(key: string, value: Uint8Array): Uint8Array {
  const length = Buffer.byteLength(key);
  const size = 4 + length + value.length;
  if (size > input.length) input = Buffer.allocUnsafe(2 * size);
  input.writeUInt32BE(length, 0);
  input.write(key, 4);
  input.set(value, 4 + length);
  const digest = hash("sha256", input.subarray(0, size), "binary");
  return Buffer.from(digest.slice(0, HASH_BYTES), "latin1");
}

const HASH_BYTES = 16;
/** What is hashed; used again by the next call. */
let input = Buffer.allocUnsafe(4096);

/** Keeps `value` as it is, without a copy. */
export function hashRecord(kind: Kind, key: string, value: Uint8Array): HashedRecord {
  return { kind, key, value, hash: recordHash(key, value) };
}

/** The bucket of a key: the first byte of SHA-256(key). */
export function bucketOf(key: string): number {
  return hash("sha256", key, "binary").charCodeAt(0);
}

/** True for equal length and content. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || (a.length === b.length && Buffer.compare(a, b) === 0);
}

/** Wraps the bytes, without a copy, as the `Buffer` that generated messages expect. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
