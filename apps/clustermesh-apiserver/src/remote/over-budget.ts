/**
 * Decides whether a peer is over its budget, or would be with the records of a listing. Received records count, and also
 * emitted records whose deletion is unverified: a peer that is never LIVE could make those grow with every listing.
 */
import { type Head, Kind } from "@isthmus/proto";
import { exportedKinds } from "@isthmus/records";
import { type Budget, DEFAULT_BUDGET, nodesOf, overBudget, tooManyNodes } from "./budget.js";
import { isComplete, isKindExported, type Replacement } from "./received-records.js";
import type { ReaderOptions, ReaderState } from "./state.js";
import { createUnverified } from "./unverified.js";

/** Why nothing more is accepted from the peer; undefined: it is within its budget. */
export function isOverBudget(state: ReaderState): string | undefined {
  return overBudgetOf(state.options, state);
}

function overBudgetOf({ budget = DEFAULT_BUDGET, cluster }: ReaderOptions, held: Held): string | undefined {
  const nodes = nodesIn(held);
  if (nodes > nodesOf(budget)) return tooManyNodes(nodes, budget, cluster);
  return overBudget(usedBy(held), budget, cluster, held.unverified.records > 0 ? OR_WAITING : undefined);
}

function nodesIn({ received, unverified }: Held): number {
  return received.digest(Kind.KIND_NODE).count + unverified.nodes;
}

type Held = Pick<ReaderState, "received" | "unverified">;
const OR_WAITING = "in the store or not verified as deleted";

/** Records and bytes kept of a peer, including emitted records that were absent from a listing. */
function usedBy({ received, unverified }: Held): Budget {
  return { records: received.size + unverified.records, bytes: received.bytes + unverified.bytes };
}

export interface Usage extends Budget {
  /** Records of kind node; they have a limit of their own, `nodesOf(budget)`. */
  readonly nodes: number;
}

/** What is kept of a peer and counts towards its budget. */
export function usageOf(state: ReaderState): Usage {
  return { ...usedBy(state), nodes: nodesIn(state) };
}

/** Why the listing is not accepted. Records that its head verifies as deleted do not count. */
export function isOverBudgetWith(
  { options }: ReaderState,
  { received, unverified }: Replacement,
  head: Head | undefined,
): string | undefined {
  if (head === undefined || !isComplete(head, received)) return overBudgetOf(options, { received, unverified });
  const exported = exportedKinds(head.sums);
  const waiting = [...unverified].filter(([key, held]) => !isKindExported(exported, received.get(key) ?? held));
  return overBudgetOf(options, { received, unverified: createUnverified(waiting) });
}
