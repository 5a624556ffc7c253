/**
 * From merged tiers to what the kernel chooses from: slots, tries, and the cluster of a tier.
 *
 * Pure. The agent turns slots into lines of backend ids, and a tier into one 64-bit word.
 */
import type { MergedBackend, MergedFrontend } from "@isthmus/clustermesh";
import type { ClusterId, MeshError } from "@isthmus/model";

/** At most four tiers fit a service entry; Σ(1 + tries) over them is at most 8. */
export const MAX_TIERS = 4;
export const MAX_PROBES = 8;

export interface TierPlan {
  /** Backends in the order of a new table (by hash of cluster, address and port); repeated for weights. Never empty. */
  readonly slots: readonly MergedBackend[];
  /** Further probes after the first, 0..7. 0 spills in proportion. */
  readonly tries: number;
  /** The one cluster of all slots, or 0 = mixed. The local cluster keeps its id here. */
  readonly cluster: ClusterId | 0;
}

export interface FrontendPlan {
  readonly frontend: MergedFrontend;
  /** Non-empty tiers only, in order; none = refuse. */
  readonly tiers: readonly TierPlan[];
}

/**
 * Most slots of one table: 17 bits in the tier word. Such a table is 8,192 lines, so it always fits a segment. A tier of
 * more backends is cut (fair-share.ts).
 */
export const MAX_SLOTS = 131_071;

/**
 * Most slots that weights can make of a table: 1,024, or four for each backend where that is more. 1,024 slots are 64
 * lines, 4 KiB, and can express 1 to 1,000; a node's tables have 4,194,304 lines, so 60,000 Services' worth.
 */
export const WEIGHTED_SLOTS = 1024;
export const SLOTS_PER_WEIGHTED_BACKEND = 4;

export type PlanErrorData = { readonly code: "PLAN_TIERS"; readonly tiers: number };

/** A plan, or why this frontend cannot be served as asked. */
export type PlanResult =
  | { readonly ok: true; readonly plan: FrontendPlan }
  | { readonly ok: false; readonly frontend: MergedFrontend; readonly error: MeshError<PlanErrorData> };
