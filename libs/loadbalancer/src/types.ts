/**
 * The plan of a frontend, from which the programs choose a backend: slots, tries and cluster of each tier.
 *
 * Plain data. The agent turns slots into lines of backend ids, and each tier into a 64-bit word.
 */
import type { ExcludedBackend, MergedBackend, MergedFrontend } from "@isthmus/clustermesh";
import type { ClusterId, MeshError } from "@isthmus/model";

export interface TierPlan {
  /** Backends in the order of a new table (by hash of cluster, address and port), repeated by weight. Never empty. */
  readonly slots: readonly MergedBackend[];
  /** Probes after the first, 0..7. With 0, the share of dead slots goes to the next tier. */
  readonly tries: number;
  /** The cluster of all slots, or 0 when they are of several. The local cluster has its real id here. */
  readonly cluster: ClusterId | 0;
}

export interface FrontendPlan {
  /** The merged frontend that was planned, unchanged. */
  readonly frontend: MergedFrontend;
  /** Non-empty tiers, in order; connects are refused when there are none. */
  readonly tiers: readonly TierPlan[];
  /** What is in no tier: the frontend's, and those that the plan leaves out; absent unless the merge explains. */
  readonly excludedBackends?: readonly ExcludedBackend[];
}

/**
 * Most slots of a table with weights: 1,024, or four per backend where that is more. 1,024 slots are 64 lines (4 KiB)
 * and can express weights of 1 to 1,000; a node's tables have 4,194,304 lines, enough for 60,000 such Services.
 */
export const WEIGHTED_SLOTS = 1024;
export const SLOTS_PER_WEIGHTED_BACKEND = 4;

/** Codes of this package's errors with their data; docs/reference/errors.md is made of them. */
export type PlanErrorData =
  /**
   * A Service would need more tiers than a frontend can have, so the frontend is not written to the node's maps. Fix: the affinities
   * "none", "local" and "remote" need at most two, so it is a mistake in this program and worth an issue.
   */
  { readonly code: "PLAN_TIERS"; readonly tiers: number };

/** A plan, or why this frontend cannot be planned. */
export type PlanResult =
  | { readonly ok: true; readonly plan: FrontendPlan }
  | { readonly ok: false; readonly frontend: MergedFrontend; readonly error: MeshError<PlanErrorData> };
