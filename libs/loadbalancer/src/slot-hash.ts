/**
 * The hash that orders the slots of a new table. Short tables are later edited in place and lose this order
 * (docs/adr/0025).
 */
import { type MergedBackend, mixHash } from "@isthmus/clustermesh";

/** 32 bits; `copy` distinguishes the repeated slots of a weighted backend. */
export function slotHash(backend: MergedBackend, copy: number): number {
  return finish(mixHash(backend.hash, copy));
}

/** Final mixing: spreads the last inputs over all bits. */
function finish(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
