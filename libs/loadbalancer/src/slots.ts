/**
 * The slots of a table: each backend as often as its weight says, in the mesh-wide order, never more than `MAX_SLOTS`.
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

/** Sorts by hash. */
function inOrder(slots: readonly MergedBackend[], hashes: readonly number[]): readonly MergedBackend[] {
  const order = slots.map((_, i) => i);
  order.sort((a, b) => (hashes[a] ?? 0) - (hashes[b] ?? 0) || comparePlaces(slots[a], slots[b]));
  const sorted: MergedBackend[] = [];
  for (const i of order) {
    const slot = slots[i];
    if (slot !== undefined) sorted.push(slot);
  }
  return sorted;
}

function comparePlaces(a: MergedBackend | undefined, b: MergedBackend | undefined): number {
  return a === undefined || b === undefined ? 0 : compareBackends(a, b);
}
