/**
 * The place of a slot in a new table, by its backend's hash. Short tables are edited in place afterwards and lose the order
 * (docs/adr/0025).
 */
import { type MergedBackend, mixHash } from "@isthmus/clustermesh";

/** 32 bits; `copy` tells the repeated slots of a weighted backend apart. */
export function slotHash(backend: MergedBackend, copy: number): number {
  return finish(mixHash(backend.hash, copy));
}

/** Spreads the last inputs over all bits. */
function finish(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
