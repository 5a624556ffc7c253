/**
 * Removes backends with the same (address, port, protocol): it keeps a ready one, else a serving one, else the one of
 * the earlier tier.
 *
 * In: tiers of backends in any order. Out: the same tiers without duplicates, each sorted by cluster, address, port.
 * The result does not depend on the order of the input.
 */
import { compareWords } from "./address-words.js";
import { duplicateOf, type Exclusions, exclude } from "./exclusions.js";
import type { MergedBackend, MergedTier } from "./types.js";

/** Returns as many tiers as it gets, in their order; a tier may end up empty. `exclusions` gets the duplicates. */
export function uniqueBackends(tiers: readonly MergedTier[], exclusions?: Exclusions): readonly MergedTier[] {
  const filled = tiers.filter(({ backends }) => backends.length > 0);
  if (filled.length === 0) return tiers;
  if (filled.length === 1 && filled[0] !== undefined && isOneCluster(filled[0]))
    return tiers.map((tier) => uniqueTier(tier, exclusions));
  return uniqueAcross(tiers, exclusions);
}

/**
 * For most Services: with one cluster in one tier, tiers need no comparison and sorting by endpoint also gives the
 * final order.
 */
function uniqueTier(tier: MergedTier, exclusions: Exclusions): MergedTier {
  if (isAscending(tier.backends)) return tier;
  const sorted = tier.backends.slice().sort((a, b) => compareEndpoint(a, b) || compareUsefulness(a, b));
  if (isAscending(sorted)) return { ...tier, backends: sorted };
  const backends: MergedBackend[] = [];
  for (const backend of sorted) keepUnique(backends, backends.at(-1), backend, exclusions);
  return { ...tier, backends };
}

/** True when sorted without duplicates, as in the record of a slice. */
function isAscending(backends: readonly MergedBackend[]): boolean {
  let last: MergedBackend | undefined;
  for (const backend of backends) {
    if (last !== undefined && compareEndpoint(last, backend) >= 0) return false;
    last = backend;
  }
  return true;
}

function uniqueAcross(tiers: readonly MergedTier[], exclusions: Exclusions): readonly MergedTier[] {
  const candidates = tiers.flatMap(({ backends }, tier) => backends.map((backend) => ({ backend, tier })));
  candidates.sort((a, b) => compareEndpoint(a.backend, b.backend) || preference(a, b));
  const kept: MergedBackend[][] = tiers.map(() => []);
  let last: MergedBackend | undefined;
  for (const { backend, tier } of candidates) {
    last = keepUnique(kept[tier], last, backend, exclusions);
  }
  return tiers.map(({ clusters }, i) => ({ clusters, backends: (kept[i] ?? []).sort(compareBackends) }));
}

/** Adds the backend unless its endpoint is that of `last`; returns the one that was kept. */
function keepUnique(
  kept: MergedBackend[] | undefined,
  last: MergedBackend | undefined,
  backend: MergedBackend,
  exclusions: Exclusions,
): MergedBackend {
  if (last !== undefined && isSameEndpoint(last, backend)) {
    exclude(exclusions, [backend], duplicateOf(last));
    return last;
  }
  kept?.push(backend);
  return backend;
}

function isOneCluster({ clusters, backends }: MergedTier): boolean {
  return clusters.length === 1 || backends.every(({ clusterId }) => clusterId === backends[0]?.clusterId);
}

interface Candidate {
  readonly backend: MergedBackend;
  readonly tier: number;
}

/** Negative when `a` is kept rather than `b`. */
function preference(a: Candidate, b: Candidate): number {
  return usefulness(b.backend) - usefulness(a.backend) || a.tier - b.tier || compareUsefulness(a.backend, b.backend);
}

/** Also compares fields that do not matter, so that the order of the input does not matter either. */
function compareUsefulness(a: MergedBackend, b: MergedBackend): number {
  return (
    usefulness(b) - usefulness(a) ||
    compareText(a.cluster, b.cluster) ||
    compareText(a.node, b.node) ||
    b.weight - a.weight
  );
}

function usefulness(backend: MergedBackend): number {
  if (backend.ready) return 2;
  return backend.serving ? 1 : 0;
}

/** The order of backends in a tier and in output for users. */
export function compareBackends(a: MergedBackend, b: MergedBackend): number {
  return compareText(a.cluster, b.cluster) || compareEndpoint(a, b);
}

function isSameEndpoint(a: MergedBackend, b: MergedBackend): boolean {
  return compareEndpoint(a, b) === 0;
}

function compareEndpoint(a: MergedBackend, b: MergedBackend): number {
  return compareWords(a, b) || a.port - b.port || a.protocol - b.protocol;
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
