/**
 * Runs all checks before `mesh connect` writes. In: facts. Out: findings, in a fixed order.
 *
 * A "fail" stops connect. "cannot tell" does not: the operator may lack access to facts that the mesh itself can read.
 */
import { checkLabelFilters, labelFilterOf } from "../access/label-filters.js";
import type { Finding } from "../output/findings.js";
import { checkClusters } from "./checks/clusters.js";
import { checkNames } from "./checks/names.js";
import { checkRanges } from "./checks/ranges.js";
import { checkStore } from "./checks/store.js";
import { checkVersions } from "./checks/versions.js";
import type { ClusterFacts } from "./facts/cluster-facts.js";
import type { StoreFacts } from "./facts/store-facts.js";

export interface PreflightFacts {
  /** In the order of the command line, which is that of the findings. */
  readonly clusters: readonly ClusterFacts[];
  /** As the owner sees it from here. */
  readonly store: StoreFacts;
  /** Of this program: `0.1.0`. */
  readonly cliVersion: string;
}

/** Connect may write when none of them is a "fail". */
export function preflight({ clusters, store, cliVersion }: PreflightFacts): readonly Finding[] {
  return [
    ...checkClusters(clusters),
    ...checkNames(clusters, store),
    ...checkRanges(clusters),
    ...checkStore(clusters, store),
    ...checkVersions(clusters, cliVersion),
    ...checkLabelFilters(clusters.flatMap(({ cluster }) => (cluster === undefined ? [] : [labelFilterOf(cluster)]))),
  ];
}
