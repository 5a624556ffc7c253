/**
 * Check values over other bytes of an entry. Programs (bpf/lib/hash.h) and all agents must compute them identically.
 */
import { viewOf } from "./codec.js";

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
