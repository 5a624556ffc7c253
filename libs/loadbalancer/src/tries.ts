/**
 * Distributes tries, the further slots that are probed in a tier: the sum of (1 + tries) over all tiers is at most
 * `Limit.Probes`.
 *
 * Earlier tiers get tries first. A tier of n ≤ 8 slots needs n − 1 tries to find its only living backend; more would
 * probe the same slots again.
 */
import { Limit } from "@isthmus/bpf/schema";

/** In: slots per tier, at most four tiers, none empty. Out: tries per tier, 0..7. */
export function spreadTries(slots: readonly number[]): readonly number[] {
  let left = Limit.Probes - slots.length;
  return slots.map((count) => {
    const tries = Math.min(count - 1, left);
    left -= tries;
    return tries;
  });
}
