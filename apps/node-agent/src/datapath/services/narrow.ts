/**
 * Smaller versions of a Service for which the maps have no room, best first: the first that fits is served, until there
 * is room.
 *
 * Rows of other clusters' backends are limited (rows/row-pool.ts), so a peer that fills its part does not stop a Service
 * from following the pods of the local cluster. An empty version is not yielded: the maps then keep what they hold.
 * Pure.
 */
import type { MergedBackend } from "@isthmus/clustermesh";
import type { DesiredFrontend, DesiredTier } from "../../desired/services/desired-state.js";

type Service = Extract<DesiredFrontend, { kind: "service" }>;
type Test = (backend: MergedBackend) => boolean;

/** Makes each version when it is asked for, with what `hasRow` (needs no new row) returns then. */
export function* smallerVersions(wanted: Service, isLocal: Test, hasRow: Test): Generator<Service> {
  const tests: readonly Test[] = [
    (backend) => isLocal(backend) || hasRow(backend),
    hasRow,
    isLocal,
    (backend) => isLocal(backend) && hasRow(backend),
  ];
  for (const test of tests) {
    const tiers = wanted.tiers.flatMap((tier) => narrowTier(tier, test));
    if (tiers.length > 0) yield { ...wanted, tiers };
  }
}

function narrowTier(tier: DesiredTier, test: Test): readonly DesiredTier[] {
  const slots = tier.slots.filter(test);
  return slots.length === 0 ? [] : [{ ...tier, slots, tries: Math.min(tier.tries, slots.length - 1) }];
}
