/**
 * The same (address, port, protocol) twice is one backend: ready wins, then serving, then the earlier tier.
 *
 * In: tiers of backends in any order. Out: the same tiers without duplicates, each sorted by cluster, address, port;
 * equal for every order of the input.
 */
import { compareWords } from "./address-words.js";
import type { MergedBackend, MergedTier } from "./types.js";

export function uniqueBackends(tiers: readonly MergedTier[]): readonly MergedTier[] {
  const filled = tiers.filter(({ backends }) => backends.length > 0);
  if (filled.length === 0) return tiers;
  if (filled.length === 1 && filled[0] !== undefined && isOneCluster(filled[0])) return tiers.map(uniqueTier);
  return uniqueAcross(tiers);
}

/** Most Services: nothing to weigh between tiers, and one order does for both. */
function uniqueTier(tier: MergedTier): MergedTier {
  if (isAscending(tier.backends)) return tier;
  const sorted = tier.backends.slice().sort((a, b) => comparePlace(a, b) || compareUse(a, b));
  if (isAscending(sorted)) return { ...tier, backends: sorted };
  return { ...tier, backends: sorted.filter((backend, i) => !isSamePlace(sorted[i - 1], backend)) };
}

/** Sorted without duplicates, as a slice's record has them. */
function isAscending(backends: readonly MergedBackend[]): boolean {
  let last: MergedBackend | undefined;
  for (const backend of backends) {
    if (last !== undefined && comparePlace(last, backend) >= 0) return false;
    last = backend;
  }
  return true;
}

function uniqueAcross(tiers: readonly MergedTier[]): readonly MergedTier[] {
  const candidates = tiers.flatMap(({ backends }, tier) => backends.map((backend) => ({ backend, tier })));
  candidates.sort((a, b) => comparePlace(a.backend, b.backend) || preference(a, b));
  const kept: MergedBackend[][] = tiers.map(() => []);
  let last: MergedBackend | undefined;
  for (const { backend, tier } of candidates) {
    if (!isSamePlace(last, backend)) kept[tier]?.push(backend);
    last = backend;
  }
  return tiers.map(({ clusters }, i) => ({ clusters, backends: (kept[i] ?? []).sort(compareBackends) }));
}

function isOneCluster({ clusters, backends }: MergedTier): boolean {
  return clusters.length === 1 || backends.every(({ clusterId }) => clusterId === backends[0]?.clusterId);
}

interface Candidate {
  readonly backend: MergedBackend;
  readonly tier: number;
}

/** Negative when `a` is kept. */
function preference(a: Candidate, b: Candidate): number {
  return usefulness(b.backend) - usefulness(a.backend) || a.tier - b.tier || compareUse(a.backend, b.backend);
}

/** Goes on to fields without meaning, so that the input's order has none either. */
function compareUse(a: MergedBackend, b: MergedBackend): number {
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

/** The order of backends in a tier, and of whatever else people read. */
export function compareBackends(a: MergedBackend, b: MergedBackend): number {
  return compareText(a.cluster, b.cluster) || comparePlace(a, b);
}

function isSamePlace(a: MergedBackend | undefined, b: MergedBackend): boolean {
  return a !== undefined && comparePlace(a, b) === 0;
}

function comparePlace(a: MergedBackend, b: MergedBackend): number {
  return compareWords(a, b) || a.port - b.port || a.protocol - b.protocol;
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
