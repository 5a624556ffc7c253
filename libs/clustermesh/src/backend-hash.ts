/**
 * Where a backend stands in the order of tables: a hash of cluster, address, port and protocol with one seed for the whole
 * mesh, computed once for each backend.
 *
 * Never of node-local ids: a table that is written anew has the same order on every node.
 */
import type { ClusterId } from "@isthmus/model";
import type { AddressWords } from "./address-words.js";

/** "mesh" in ASCII. Changing it moves every table of every node. */
const SEED = 0x6d657368;

/** A signed 32-bit number that is not mixed to its end: `slotHash` adds the number of the copy and finishes it. */
export function backendHash(clusterId: ClusterId, address: AddressWords, port: number, protocol: number): number {
  let hash = mixHash(SEED, clusterId);
  hash = mixWord(hash, address.word0);
  hash = mixWord(hash, address.word1);
  hash = mixWord(hash, address.word2);
  hash = mixWord(hash, address.word3);
  return mixHash(mixHash(hash, port), protocol);
}

/** The hash with one more value. */
export function mixHash(hash: number, value: number): number {
  return Math.imul(hash ^ value, 0x01000193) ^ (hash >>> 15);
}

/** Byte by byte, in the order of the address. */
function mixWord(hash: number, word: number): number {
  const high = mixHash(mixHash(hash, word >>> 24), (word >>> 16) & 0xff);
  return mixHash(mixHash(high, (word >>> 8) & 0xff), word & 0xff);
}
