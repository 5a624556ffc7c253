/**
 * The place of a backend in a table: a hash of cluster, address, port and protocol with one seed for the whole mesh.
 *
 * Never of node-local ids: a table that is written anew has the same order on every node. Short tables are edited in
 * place afterwards and lose it (docs/adr/0025).
 */
import type { MergedBackend } from "@isthmus/clustermesh";

/** "mesh" in ASCII. Changing it moves every table of every node. */
const SEED = 0x6d657368;

/** 32 bits; `copy` tells the repeated slots of a weighted backend apart. */
export function slotHash(backend: MergedBackend, copy: number): number {
  let hash = mix(SEED, backend.clusterId);
  hash = mixWord(hash, backend.word0);
  hash = mixWord(hash, backend.word1);
  hash = mixWord(hash, backend.word2);
  hash = mixWord(hash, backend.word3);
  hash = mix(hash, backend.port);
  hash = mix(hash, backend.protocol);
  return finish(mix(hash, copy));
}

function mix(hash: number, value: number): number {
  return Math.imul(hash ^ value, 0x01000193) ^ (hash >>> 15);
}

/** Byte by byte, in the order of the address. */
function mixWord(hash: number, word: number): number {
  const high = mix(mix(hash, word >>> 24), (word >>> 16) & 0xff);
  return mix(mix(high, (word >>> 8) & 0xff), word & 0xff);
}

/** Spreads the last inputs over all bits. */
function finish(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
