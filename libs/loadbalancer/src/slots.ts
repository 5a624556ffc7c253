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
  const slots: { readonly backend: MergedBackend; readonly hash: number }[] = [];
  for (const backend of backends) {
    for (let copy = 0; copy < backend.weight / divisor; copy++) slots.push({ backend, hash: slotHash(backend, copy) });
  }
  return slots.sort((a, b) => a.hash - b.hash || compareBackends(a.backend, b.backend)).map(({ backend }) => backend);
}

function commonDivisor(backends: readonly MergedBackend[]): number {
  let divisor = 0;
  for (const { weight } of backends) {
    for (let rest = weight; rest > 0; ) [divisor, rest] = [rest, divisor % rest];
    if (divisor === 1) return 1;
  }
  return Math.max(divisor, 1);
}
