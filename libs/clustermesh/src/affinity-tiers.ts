/**
 * Groups clusters into tiers by a Service's affinity.
 *
 * Each affinity stands for a list of tiers: `local` = `local > *`, `remote` = `* > local`, `none` = `*`, where `*` is
 * every cluster that no other tier names. Tiers without a cluster are omitted; names inside a tier are sorted.
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

/** Partitions all clusters of the mesh, including the local one, into tiers. */
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
