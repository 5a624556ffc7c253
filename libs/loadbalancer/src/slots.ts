/**
 * The slots of a table: each backend as often as its weight says, never more than `MAX_SLOTS`, in the order of a new table.
 */
import { compareBackends, type MergedBackend } from "@isthmus/clustermesh";
import { fairShare } from "./fair-share.js";
import { slotHash } from "./slot-hash.js";
import { MAX_SLOTS } from "./types.js";
import { slotCounts } from "./weights.js";

/** The slots, in table order. Equal for every order of `backends`. */
export function fillSlots(backends: readonly MergedBackend[]): readonly MergedBackend[] {
  const kept = backends.length > MAX_SLOTS ? fairShare(backends, MAX_SLOTS) : backends;
  const counts = slotCounts(kept);
  const slots: MergedBackend[] = [];
  const hashes: number[] = [];
  kept.forEach((backend, i) => {
    for (let copy = 0; copy < (counts[i] ?? 0); copy++) {
      slots.push(backend);
      hashes.push(slotHash(backend, copy));
    }
  });
  return inOrder(slots, hashes);
}

/** More than any table has slots; a hash of 32 bits times this is still a whole number. */
const PLACES = 2 ** 20;

/** Sorts by hash. Hash and place are one number each, which are sorted five times as fast as by a function. */
function inOrder(slots: readonly MergedBackend[], hashes: readonly number[]): readonly MergedBackend[] {
  const keys = new Float64Array(hashes.length);
  for (let i = 0; i < keys.length; i++) keys[i] = (hashes[i] ?? 0) * PLACES + i;
  keys.sort();
  const sorted: MergedBackend[] = [];
  let before = -1;
  for (const key of keys) {
    const hash = Math.floor(key / PLACES);
    if (hash === before) return inFullOrder(slots, hashes);
    before = hash;
    const slot = slots[key - hash * PLACES];
    if (slot !== undefined) sorted.push(slot);
  }
  return sorted;
}

/** The same where hashes are equal: then the backends decide. */
function inFullOrder(slots: readonly MergedBackend[], hashes: readonly number[]): readonly MergedBackend[] {
  return slots
    .map((slot, i) => ({ slot, hash: hashes[i] ?? 0 }))
    .sort((a, b) => a.hash - b.hash || compareBackends(a.slot, b.slot))
    .map(({ slot }) => slot);
}
