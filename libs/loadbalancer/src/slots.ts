/**
 * The slots of a table: each backend as often as its weight says, never more than `MAX_SLOTS`, in the order of a new table.
 */
import { compareBackends, type MergedBackend } from "@isthmus/clustermesh";
import { fairShare } from "./fair-share.js";
import { slotHash } from "./slot-hash.js";
import { sortSpread } from "./sort-spread.js";
import { MAX_SLOTS } from "./types.js";
import { slotCounts } from "./weights.js";

/** More than any table has slots; a hash of 32 bits times this is still a whole number. */
const PLACES = 2 ** 20;
const KEYS_END = 2 ** 32 * PLACES;

/** The slots, in table order. Equal for every order of `backends`. */
export function fillSlots(backends: readonly MergedBackend[]): readonly MergedBackend[] {
  const kept = backends.length > MAX_SLOTS ? fairShare(backends, MAX_SLOTS) : backends;
  const weight = kept[0]?.weight;
  // Nearly always all weights are equal: one slot for each.
  if (kept.every((backend) => backend.weight === weight)) return inOrder(kept, keysOf(kept));
  const counts = slotCounts(kept);
  const slots = kept.flatMap((each, i) => new Array<MergedBackend>(counts[i] ?? 0).fill(each));
  return inOrder(slots, keysOf(slots));
}

/** Hash and place of each slot as one number: one array of the right size, sorted without a function. */
function keysOf(slots: readonly MergedBackend[]): Float64Array {
  const keys = new Float64Array(slots.length);
  let copy = 0;
  for (let place = 0; place < slots.length; place++) {
    const slot = slots[place];
    if (slot === undefined) continue;
    copy = slot === slots[place - 1] ? copy + 1 : 0; // those of one backend are together
    keys[place] = slotHash(slot, copy) * PLACES + place;
  }
  return sortSpread(keys, KEYS_END);
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
