/** mesh_services: the tiers of one frontend; each becomes one 64-bit word once its table has a place. */
import type { FrontendPlan } from "@isthmus/loadbalancer";
import { type DesiredTable, desiredTable } from "./tables.js";

export interface DesiredTier {
  readonly slots: DesiredTable;
  readonly tries: number;
  /** The one cluster of all slots; 0 = mixed. */
  readonly cluster: number;
}

/** In order of preference, at most four; none = connects are refused. */
export type DesiredService = readonly DesiredTier[];

export function desiredService(plan: FrontendPlan): DesiredService {
  return plan.tiers.map((tier) => ({ slots: desiredTable(tier), tries: tier.tries, cluster: tier.cluster }));
}
