/**
 * Plans frontends. In: merged tiers. Out: the slots from which the programs choose.
 *
 * A tier gets its ready backends. If no tier has a ready one, tiers get the backends that are terminating but still
 * serve. If there are none either, the plan has no tiers, and connects are refused. Tables are bounded (slots.ts), so
 * records of a remote cluster cannot make a plan fail; only settings of the local Service can.
 */
import { Limit } from "@isthmus/bpf/schema";
import {
  type Exclusion,
  type Exclusions,
  excludeOthers,
  type MergedBackend,
  type MergedFrontend,
  type MergedTier,
} from "@isthmus/clustermesh";
import { type ClusterId, formatAddress, MeshError, protocolName } from "@isthmus/model";
import { BackendExclusion } from "@isthmus/proto";
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
  return { ok: true, plan: fillTiers(frontend) };
}

function fillTiers(frontend: MergedFrontend): FrontendPlan {
  const exclusions = frontend.excludedBackends && [...frontend.excludedBackends];
  const usable = usableBackends(frontend.tiers, exclusions);
  const slots = usable.map((tier) => fillSlots(tier, exclusions));
  const tries = spreadTries(slots.map((tier) => tier.length));
  return {
    frontend,
    tiers: slots.map((tier, i) => ({ slots: tier, tries: tries[i] ?? 0, cluster: onlyCluster(tier) })),
    ...(exclusions && { excludedBackends: exclusions }),
  };
}

/** Non-empty tiers, of ready backends or else of serving ones. */
function usableBackends(tiers: readonly MergedTier[], exclusions: Exclusions): readonly (readonly MergedBackend[])[] {
  const ready = filterTiers(tiers, (backend) => backend.ready);
  const usable = ready.length > 0 ? ready : filterTiers(tiers, (backend) => backend.serving);
  if (exclusions !== undefined)
    excludeOthers(
      exclusions,
      tiers.flatMap(({ backends }) => backends),
      usable.flat(),
      ({ serving }) => (serving ? TERMINATING : NOT_READY),
    );
  return usable;
}

const NOT_READY: Exclusion = {
  cause: BackendExclusion.BACKEND_EXCLUSION_NOT_READY,
  reason: "Its EndpointSlice says that it is not ready",
};
const TERMINATING: Exclusion = {
  cause: BackendExclusion.BACKEND_EXCLUSION_TERMINATING,
  reason: "It terminates and still serves, and other backends are ready",
};

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
