/**
 * Computes how many slots each backend of a table gets for its weight, within the size limit of a table.
 *
 * Weights are divided by their greatest common divisor, so equal weights give one slot each. If the sum is still too
 * large, it is scaled down in proportion, but each backend keeps at least one slot. So the table is bounded for any
 * weights.
 */
import { Limit } from "@isthmus/bpf/schema";
import type { MergedBackend } from "@isthmus/clustermesh";
import { SLOTS_PER_WEIGHTED_BACKEND, WEIGHTED_SLOTS } from "./types.js";

/** Number of slots of each backend, in the order of `backends`, which are at most `Limit.Slots`; so is the sum. */
export function slotCounts(backends: readonly MergedBackend[]): readonly number[] {
  const divisor = commonDivisor(backends);
  const counts = backends.map(({ weight }) => weight / divisor);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const most = Math.min(Limit.Slots, Math.max(WEIGHTED_SLOTS, backends.length * SLOTS_PER_WEIGHTED_BACKEND));
  if (total <= most) return counts;
  // One slot each, and the rest by weight, rounded down so that the sum stays within bounds.
  const rest = most - backends.length;
  return counts.map((count) => 1 + Math.floor((count * rest) / total));
}

function commonDivisor(backends: readonly MergedBackend[]): number {
  let divisor = 0;
  for (const { weight } of backends) {
    for (let rest = weight; rest > 0; ) [divisor, rest] = [rest, divisor % rest];
    if (divisor === 1) return 1;
  }
  return Math.max(divisor, 1);
}
