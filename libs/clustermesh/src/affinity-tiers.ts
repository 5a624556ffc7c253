/**
 * Which clusters are tried together, and in what order.
 *
 * Affinity is short for tiers: `local` = `local > *`, `remote` = `* > local`, `none` = `*`, where `*` is every cluster
 * that no other tier names. A tier without a cluster is left out; names inside a tier are sorted.
 */
import type { ClusterName } from "@isthmus/model";
import { Affinity } from "@isthmus/proto";

type TierSpec = readonly string[];

const LOCAL: TierSpec = ["local"];
const REST: TierSpec = ["*"];

function specOf(affinity: Affinity): readonly TierSpec[] {
  if (affinity === Affinity.AFFINITY_LOCAL) return [LOCAL, REST];
  if (affinity === Affinity.AFFINITY_REMOTE) return [REST, LOCAL];
  return [REST];
}

/** Partitions all clusters of the mesh (the own one included) into tiers. */
export function affinityTiers(
  affinity: Affinity,
  local: ClusterName,
  clusters: Iterable<ClusterName>,
): readonly (readonly ClusterName[])[] {
  const specs = specOf(affinity);
  const named = new Set(specs.flat().map((name) => (name === "local" ? local : name)));
  const rest = [...clusters].filter((cluster) => !named.has(cluster)).sort();
  return specs.map((spec) => (spec === REST ? rest : [local])).filter((tier) => tier.length > 0);
}
