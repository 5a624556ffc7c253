/**
 * The slots of a table: each backend as often as its weight says, never more than `MAX_SLOTS`, in the order of a new table.
 */
import { compareBackends, type MergedBackend } from "@isthmus/clustermesh";
import { fairShare } from "./fair-share.js";
import { slotHash } from "./slot-hash.js";
import { MAX_SLOTS } from "./types.js";
import { slotCounts } from "./weights.js";

/** More than any table has slots; a hash of 32 bits times this is still a whole number. */
const PLACES = 2 ** 20;

/** The slots, in table order. Equal for every order of `backends`. */
export function fillSlots(backends: readonly MergedBackend[]): readonly MergedBackend[] {
  const kept = backends.length > MAX_SLOTS ? fairShare(backends, MAX_SLOTS) : backends;
  const counts = slotCounts(kept);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const slots =
    total === kept.length ? kept : kept.flatMap((each, i) => new Array<MergedBackend>(counts[i] ?? 0).fill(each));
  return inOrder(slots, keysOf(kept, counts, total));
}

/** Hash and place of each slot as one number: sorted five times as fast as by a function, and one array of the right size. */
function keysOf(kept: readonly MergedBackend[], counts: readonly number[], total: number): Float64Array {
  const keys = new Float64Array(total);
  let place = 0;
  kept.forEach((backend, i) => {
    for (let copy = 0; copy < (counts[i] ?? 0); copy++) keys[place] = slotHash(backend, copy) * PLACES + place++;
  });
  return keys.sort();
}

function inOrder(slots: readonly MergedBackend[], keys: Float64Array): readonly MergedBackend[] {
  const sorted = slots.slice(); // in its size at once: growing one leaves three times its size to the garbage collector
  let before = -1;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] ?? 0;
    const hash = Math.floor(key / PLACES);
    if (hash === before) return inFullOrder(slots, keys);
    before = hash;
    const slot = slots[key - hash * PLACES];
    if (slot !== undefined) sorted[i] = slot;
  }
  return sorted;
}

/** The same where hashes are equal: then the backends decide. */
function inFullOrder(slots: readonly MergedBackend[], keys: Float64Array): readonly MergedBackend[] {
  return [...keys]
    .flatMap((key) => {
      const hash = Math.floor(key / PLACES);
      const slot = slots[key - hash * PLACES];
      return slot === undefined ? [] : [{ slot, hash }];
    })
    .sort((a, b) => a.hash - b.hash || compareBackends(a.slot, b.slot))
    .map(({ slot }) => slot);
}
