/**
 * Fills the slots of a new table: each backend as often as its weight requires, at most `Limit.Slots` slots, ordered by
 * hash.
 */
import { Limit } from "@isthmus/bpf/schema";
import { compareBackends, type Exclusions, excludeOthers, type MergedBackend } from "@isthmus/clustermesh";
import { BackendExclusion } from "@isthmus/proto";
import { fairShare } from "./fair-share.js";
import { slotHash } from "./slot-hash.js";
import { sortSpread } from "./sort-spread.js";
import { slotCounts } from "./weights.js";

const NO_SLOT = {
  cause: BackendExclusion.BACKEND_EXCLUSION_TOO_MANY,
  reason: `A tier has at most ${Limit.Slots} slots, of which each cluster gets its share: split the Service`,
};

/** More than any table has slots; a 32-bit hash times this is still an exact integer in a double. */
const INDEX_END = 2 ** 20;
const KEYS_END = 2 ** 32 * INDEX_END;

/**
 * The slots, in table order, which does not depend on the order of `backends`. `exclusions` gets those for which there is no
 * slot.
 */
export function fillSlots(backends: readonly MergedBackend[], exclusions?: Exclusions): readonly MergedBackend[] {
  const kept = backends.length > Limit.Slots ? fairShare(backends, Limit.Slots) : backends;
  if (kept !== backends) excludeOthers(exclusions, backends, kept, () => NO_SLOT);
  const weight = kept[0]?.weight;
  // Nearly always all weights are equal: each backend gets one slot.
  if (kept.every((backend) => backend.weight === weight)) return inOrder(kept, keysOf(kept));
  const counts = slotCounts(kept);
  const slots = kept.flatMap((each, i) => new Array<MergedBackend>(counts[i] ?? 0).fill(each));
  return inOrder(slots, keysOf(slots));
}

/** Sort keys: hash and index of each slot in one number, so that sorting needs no comparison function. */
function keysOf(slots: readonly MergedBackend[]): Float64Array {
  const keys = new Float64Array(slots.length);
  let copy = 0;
  for (let index = 0; index < slots.length; index++) {
    const slot = slots[index];
    if (slot === undefined) continue;
    copy = slot === slots[index - 1] ? copy + 1 : 0; // copies of a backend are adjacent
    keys[index] = slotHash(slot, copy) * INDEX_END + index;
  }
  return sortSpread(keys, KEYS_END);
}

function inOrder(slots: readonly MergedBackend[], keys: Float64Array): readonly MergedBackend[] {
  const sorted = slots.slice(); // a growing array would leave three times its size to the garbage collector
  let previous = -1;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] ?? 0;
    const hash = Math.floor(key / INDEX_END);
    if (hash === previous) return inFullOrder(slots, keys);
    previous = hash;
    const slot = slots[key - hash * INDEX_END];
    if (slot !== undefined) sorted[i] = slot;
  }
  return sorted;
}

/** Orders slots when some hashes are equal: those by their backends. */
function inFullOrder(slots: readonly MergedBackend[], keys: Float64Array): readonly MergedBackend[] {
  return [...keys]
    .flatMap((key) => {
      const hash = Math.floor(key / INDEX_END);
      const slot = slots[key - hash * INDEX_END];
      return slot === undefined ? [] : [{ slot, hash }];
    })
    .sort((a, b) => a.hash - b.hash || compareBackends(a.slot, b.slot))
    .map(({ slot }) => slot);
}
