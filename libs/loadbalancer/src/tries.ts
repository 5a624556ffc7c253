/**
 * How many further slots each tier is probed for: the sum of (1 + tries) over all tiers stays within `MAX_PROBES`.
 *
 * Earlier tiers are served first. A tier of n ≤ 8 slots needs n − 1 tries to find its one living backend; more would
 * look at the same slots again.
 */
import { MAX_PROBES } from "./types.js";

/** In: slots per tier, at most four tiers, none empty. Out: tries per tier, 0..7. */
export function spreadTries(slots: readonly number[]): readonly number[] {
  let left = MAX_PROBES - slots.length;
  return slots.map((count) => {
    const tries = Math.min(count - 1, left);
    left -= tries;
    return tries;
  });
}
