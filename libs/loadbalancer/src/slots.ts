/**
 * The slots of a table: each backend as often as its weight says, in the mesh-wide order.
 *
 * Weights are reduced by their greatest common divisor, so equal weights are one slot each.
 */
import { compareBackends, type MergedBackend } from "@isthmus/clustermesh";
import { slotHash } from "./slot-hash.js";

/** How many slots `fillSlots` will make. */
export function countSlots(backends: readonly MergedBackend[]): number {
  const divisor = commonDivisor(backends);
  return backends.reduce((sum, backend) => sum + backend.weight / divisor, 0);
}

/** The slots, in table order. Equal for every order of `backends`. */
export function fillSlots(backends: readonly MergedBackend[]): readonly MergedBackend[] {
  const divisor = commonDivisor(backends);
  const slots: MergedBackend[] = [];
  const hashes: number[] = [];
  for (const backend of backends) {
    for (let copy = 0; copy < backend.weight / divisor; copy++) {
      slots.push(backend);
      hashes.push(slotHash(backend, copy));
    }
  }
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

function commonDivisor(backends: readonly MergedBackend[]): number {
  let divisor = 0;
  for (const { weight } of backends) {
    for (let rest = weight; rest > 0; ) [divisor, rest] = [rest, divisor % rest];
    if (divisor === 1) return 1;
  }
  return Math.max(divisor, 1);
}
