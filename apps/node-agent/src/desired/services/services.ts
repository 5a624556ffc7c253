/** The tiers of one frontend; each becomes one 64-bit word of mesh_services once its table has lines. */
import type { TierPlan } from "@isthmus/loadbalancer";

export type DesiredTier = TierPlan;

/** In order of preference, at most four; none = connects are refused. */
export type DesiredService = readonly DesiredTier[];
