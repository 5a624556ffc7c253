/** mesh_tables: the slots of a tier as backends, in table order. The agent turns them into lines of ids. */
import type { TierPlan } from "@isthmus/loadbalancer";
import { type DesiredBackend, desiredBackend } from "./backends.js";

export type DesiredTable = readonly DesiredBackend[];

export function desiredTable(plan: TierPlan): DesiredTable {
  return plan.slots.map(desiredBackend);
}
