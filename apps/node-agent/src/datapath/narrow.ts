/**
 * What is left of a Service when the maps have no room for all of it, best first: what finds room is served, the rest waits.
 *
 * Rows of other clusters' backends are limited (`reservedRows`), so a peer that fills its part stops nobody from following
 * the pods of the own cluster. What would leave nothing to serve is not offered: then what is in the maps stays. Pure.
 */
import type { MergedBackend } from "@isthmus/clustermesh";
import type { DesiredFrontend } from "../desired/desired-state.js";
import type { DesiredTier } from "../desired/services.js";

type Service = Extract<DesiredFrontend, { kind: "service" }>;
type Test = (backend: MergedBackend) => boolean;

/** Of rows that all clusters share, those that only the own cluster gets: one in four. */
export function reservedRows(maxEntries: number): number {
  return Math.floor(maxEntries / 4);
}

export function* narrower(wanted: Service, isOwn: Test, hasRow: Test): Generator<Service> {
  const tests: readonly Test[] = [
    (backend) => isOwn(backend) || hasRow(backend),
    hasRow,
    isOwn,
    (backend) => isOwn(backend) && hasRow(backend),
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
