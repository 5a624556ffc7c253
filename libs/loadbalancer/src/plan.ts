/**
 * Plans frontends. In: merged tiers. Out: the slots from which the programs choose.
 *
 * A tier gets its ready backends. If no tier has a ready one, tiers get the backends that are terminating but still
 * serve. If there are none either, the plan has no tiers, and connects are refused. Tables are bounded (slots.ts), so
 * records of a remote cluster cannot make a plan fail; only settings of the local Service can.
 */
import { Limit } from "@isthmus/bpf/schema";
import type { MergedBackend, MergedFrontend, MergedTier } from "@isthmus/clustermesh";
import { type ClusterId, formatAddress, MeshError, protocolName } from "@isthmus/model";
import { fillSlots } from "./slots.js";
import { spreadTries } from "./tries.js";
import type { FrontendPlan, PlanErrorData, PlanResult } from "./types.js";

/** Plans all frontends of one Service; an error of one does not affect the others. */
export function planService(frontends: readonly MergedFrontend[]): readonly PlanResult[] {
  return frontends.map(planFrontend);
}

/** Not ok with `PLAN_TIERS` for more than four tiers; no other input makes it fail. */
export function planFrontend(frontend: MergedFrontend): PlanResult {
  if (frontend.tiers.length > Limit.Tiers) {
    return refuse(frontend, { code: "PLAN_TIERS", tiers: frontend.tiers.length }, `more than ${Limit.Tiers} tiers`);
  }
  return { ok: true, plan: fillTiers(frontend, usableBackends(frontend.tiers)) };
}

function fillTiers(frontend: MergedFrontend, usable: readonly (readonly MergedBackend[])[]): FrontendPlan {
  const slots = usable.map(fillSlots);
  const tries = spreadTries(slots.map((tier) => tier.length));
  return {
    frontend,
    tiers: slots.map((tier, i) => ({ slots: tier, tries: tries[i] ?? 0, cluster: onlyCluster(tier) })),
  };
}

/** Non-empty tiers, of ready backends or else of serving ones. */
function usableBackends(tiers: readonly MergedTier[]): readonly (readonly MergedBackend[])[] {
  const ready = filterTiers(tiers, (backend) => backend.ready);
  return ready.length > 0 ? ready : filterTiers(tiers, (backend) => backend.serving);
}

function filterTiers(
  tiers: readonly MergedTier[],
  wanted: (backend: MergedBackend) => boolean,
): readonly (readonly MergedBackend[])[] {
  const filtered: (readonly MergedBackend[])[] = [];
  for (const { backends } of tiers) {
    // Nearly always all are ready, so the list needs no copy.
    const kept = backends.every(wanted) ? backends : backends.filter(wanted);
    if (kept.length > 0) filtered.push(kept);
  }
  return filtered;
}

function onlyCluster(slots: readonly MergedBackend[]): ClusterId | 0 {
  const first = slots[0]?.clusterId ?? 0;
  return slots.every((backend) => backend.clusterId === first) ? first : 0;
}

function refuse(frontend: MergedFrontend, data: PlanErrorData, why: string): PlanResult {
  const address = `${formatAddress(frontend.address)}:${frontend.port}/${protocolName(frontend.protocol)}`;
  const sentence = `Cannot serve frontend ${address} of Service "${frontend.service}": ${why}`;
  return { ok: false, frontend, error: new MeshError(data, sentence) };
}
