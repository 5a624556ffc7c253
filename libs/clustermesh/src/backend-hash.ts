/**
 * The hash that orders backends in tables: over cluster, address, port and protocol, with one seed for the whole mesh.
 * It is computed once per backend.
 *
 * It does not include node-local ids, so that a newly written table has the same order on every node.
 */
import type { ClusterId } from "@isthmus/model";
import type { AddressWords } from "./address-words.js";

/** "mesh" in ASCII. Another seed would reorder every table on every node. */
const SEED = 0x6d657368;

/** A signed 32-bit hash before the final mixing: `slotHash` adds the copy number and finishes it. */
export function backendHash(clusterId: ClusterId, address: AddressWords, port: number, protocol: number): number {
  let hash = mixHash(SEED, clusterId);
  hash = mixWord(hash, address.word0);
  hash = mixWord(hash, address.word1);
  hash = mixWord(hash, address.word2);
  hash = mixWord(hash, address.word3);
  return mixHash(mixHash(hash, port), protocol);
}

/** Adds one value to the hash. */
export function mixHash(hash: number, value: number): number {
  return Math.imul(hash ^ value, 0x01000193) ^ (hash >>> 15);
}

/** Adds four bytes of the address, the highest first. */
function mixWord(hash: number, word: number): number {
  const high = mixHash(mixHash(hash, word >>> 24), (word >>> 16) & 0xff);
  return mixHash(mixHash(high, (word >>> 8) & 0xff), word & 0xff);
}
