/**
 * The same (address, port, protocol) twice is one backend: ready wins, then serving, then the earlier tier.
 *
 * In: tiers of backends in any order. Out: the same tiers without duplicates, each sorted by cluster, address, port;
 * equal for every order of the input.
 */
import type { MergedBackend, MergedTier } from "./types.js";

export function uniqueBackends(tiers: readonly MergedTier[]): readonly MergedTier[] {
  const candidates = tiers.flatMap(({ backends }, tier) => backends.map((backend) => ({ backend, tier })));
  if (candidates.length > 1) candidates.sort((a, b) => comparePlace(a.backend, b.backend) || preference(a, b));
  const kept: MergedBackend[][] = tiers.map(() => []);
  let last: MergedBackend | undefined;
  for (const { backend, tier } of candidates) {
    if (last === undefined || comparePlace(last, backend) !== 0) kept[tier]?.push(backend);
    last = backend;
  }
  return tiers.map(({ clusters }, i) => ({ clusters, backends: (kept[i] ?? []).sort(compareBackends) }));
}

interface Candidate {
  readonly backend: MergedBackend;
  readonly tier: number;
}

/** Negative when `a` is kept. Goes on to fields without meaning, so that the input's order has none either. */
function preference(a: Candidate, b: Candidate): number {
  return (
    usefulness(b.backend) - usefulness(a.backend) ||
    a.tier - b.tier ||
    compareText(a.backend.cluster, b.backend.cluster) ||
    compareText(a.backend.node, b.backend.node) ||
    b.backend.weight - a.backend.weight
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

function comparePlace(a: MergedBackend, b: MergedBackend): number {
  return Buffer.compare(a.address, b.address) || a.port - b.port || a.protocol - b.protocol;
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
