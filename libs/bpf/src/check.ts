/**
 * Check values over other bytes of an entry. Programs (bpf/lib/hash.h) and all agents must compute them identically.
 */
import { highHalf, lowHalf, viewOf } from "./codec.js";

/** The check of a row with this key, whose length is a multiple of 4: 16 bits. As key_check(). */
export function keyCheck(key: Uint8Array): number {
  const view = viewOf(key, 0, key.length);
  let hash = 0x9e3779b1;
  for (let at = 0; at + 4 <= key.length; at += 4) {
    hash = Math.imul(hash ^ view.getUint32(at, true), 0x85ebca6b);
    hash ^= hash >>> 15;
  }
  return hash >>> 16;
}

/** A hash of 64 bits in two halves, so that the steps of a row make no BigInts. */
export interface Hash64 {
  /** Bits 0 to 31, unsigned. */
  low: number;
  /** Bits 32 to 63, unsigned. */
  high: number;
}

/** The halves of a number of 64 bits. */
export function hash64(value: bigint): Hash64 {
  return { low: lowHalf(value), high: highHalf(value) };
}

/** ROW_CHECK of bpf/lib/hash.h. */
export const ROW_CHECK = 0x9e3779b97f4a7c15n;
const BEGIN = hash64(ROW_CHECK);
const ODD = [
  0x63e5e0265696cce1n,
  0xd2d54450e318365bn,
  0x3652811dd4e105d1n,
  0x2fd33a77b80b0121n,
  0x3bb2399cebae0881n,
  0x02daf4f6e1c18637n,
  0x81bb7836d53cb581n,
].map(hash64);

/** Continues a hash over at most seven 64-bit words at `at`. As row_check(). */
export function rowCheck(hash: Hash64, row: DataView, at: number, words: number): void {
  mixHash(hash);
  const product = { low: 0, high: 0 };
  for (let i = 0; i < words; i++) {
    product.low = row.getUint32(at + i * 8, true);
    product.high = row.getUint32(at + i * 8 + 4, true);
    multiply(product, ODD[i] ?? BEGIN);
    const low = hash.low + product.low;
    hash.low = low >>> 0;
    hash.high = (hash.high + product.high + (low > 0xffffffff ? 1 : 0)) >>> 0;
  }
}

/** Folds the high half into the low one, and multiplies by ROW_CHECK. */
export function mixHash(hash: Hash64): void {
  hash.low = (hash.low ^ hash.high) >>> 0;
  multiply(hash, BEGIN);
}

/** `hash * by`, modulo 2^64: by 16 bits, whose products are exact. */
export function multiply(hash: Hash64, by: Hash64): void {
  const [a0, a1, b0, b1] = [hash.low & 0xffff, hash.low >>> 16, by.low & 0xffff, by.low >>> 16];
  const low = a0 * b0;
  const middle = a1 * b0 + (low >>> 16);
  const other = a0 * b1 + (middle & 0xffff);
  const carried = a1 * b1 + (middle >>> 16) + (other >>> 16);
  const high = carried + Math.imul(hash.low, by.high) + Math.imul(hash.high, by.low);
  hash.low = ((other << 16) | (low & 0xffff)) >>> 0;
  hash.high = high >>> 0;
}
