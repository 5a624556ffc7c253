/**
 * Whether a peer is over its budget with what is held of it, or would be with what a range brought: what was received, and what
 * was handed on and waits for proof that it is gone. A peer that is never LIVE could make that grow with every listing.
 */
import { type Head, Kind } from "@isthmus/proto";
import { exportedKinds } from "@isthmus/records";
import { type Budget, DEFAULT_BUDGET, nodesOf, overBudget, tooManyNodes } from "./budget.js";
import { isSpokenOf, isWhole, type Replacement } from "./received.js";
import type { ReaderOptions, ReaderState } from "./state.js";
import { createUnproved } from "./unproved.js";

/** Why no more is taken of the peer than was received. */
export function isOverBudget(state: ReaderState): string | undefined {
  return overBudgetOf(state.options, state);
}

function overBudgetOf({ budget = DEFAULT_BUDGET, cluster }: ReaderOptions, held: Held): string | undefined {
  const nodes = held.received.digest(Kind.KIND_NODE).count + held.unproved.nodes;
  if (nodes > nodesOf(budget)) return tooManyNodes(nodes, budget, cluster);
  return overBudget(usedBy(held), budget, cluster, held.unproved.records > 0 ? OR_WAITING : undefined);
}

type Held = Pick<ReaderState, "received" | "unproved">;
const OR_WAITING = "in the store or not proved to be gone from it";

/** What is held of a peer: also what was handed on of records that a range did not hold any more. */
export function usedBy({ received, unproved }: Held): Budget {
  return { records: received.size + unproved.records, bytes: received.bytes + unproved.bytes };
}

/** Why less than that is taken of the peer; what its head proves with it does not count. */
export function isOverBudgetWith(
  { options }: ReaderState,
  { received, unproved }: Replacement,
  head: Head | undefined,
): string | undefined {
  if (head === undefined || !isWhole(head, received)) return overBudgetOf(options, { received, unproved });
  const exported = exportedKinds(head.sums);
  const waiting = [...unproved].filter(([key, held]) => !isSpokenOf(exported, received.get(key) ?? held));
  return overBudgetOf(options, { received, unproved: createUnproved(waiting) });
}
