/**
 * Compares the label filters of clusters: which labels of a pod are no part of its identity.
 *
 * Where they differ, a policy may select pods with the same labels in one cluster only. Each version of clustermesh-apiserver
 * has one filter.
 */
import type { MeshCluster } from "@isthmus/kube";
import type { Finding } from "../output/findings.js";

export interface LabelFilterOf {
  readonly cluster: string;
  /** `status.labelFilterDigest` of its MeshCluster. Undefined: it is older than this field, or not written yet. */
  readonly digest: string | undefined;
  /** Of its apiserver; undefined when its status has none. */
  readonly version: string | undefined;
}

const GROUP = "identities";

export function labelFilterOf({ metadata, status }: Pick<MeshCluster, "metadata" | "status">): LabelFilterOf {
  return { cluster: metadata.name ?? "", digest: status?.labelFilterDigest, version: status?.version };
}

/** A warning when two of them differ. A cluster whose filter is not known is left out. */
export function differingFilters(clusters: readonly LabelFilterOf[]): readonly Finding[] {
  const known = clusters.filter(({ digest }) => digest !== undefined);
  const [first] = known;
  const other = known.find(({ digest }) => digest !== first?.digest);
  if (first === undefined || other === undefined) return [];
  return [
    {
      group: GROUP,
      status: "warning",
      subject: `${first.cluster}, ${other.cluster}`,
      message: `their label filters differ (${described(first)}, ${described(other)}): a policy may select pods with the same labels in one of them only`,
      fix: "run one version of clustermesh-apiserver in all clusters",
    },
  ];
}

/** The same before clusters are connected: "ok" when all are equal, "unknown" for each cluster whose filter is not known. */
export function checkLabelFilters(clusters: readonly LabelFilterOf[]): readonly Finding[] {
  const unknown = clusters.filter(({ digest }) => digest === undefined);
  const found = [
    ...differingFilters(clusters),
    ...unknown.map(
      ({ cluster }): Finding => ({
        group: GROUP,
        status: "unknown",
        subject: cluster,
        message: "its status names no label filter",
        fix: "upgrade its clustermesh-apiserver and apply deploy/base; mesh status compares the filters later, too",
      }),
    ),
  ];
  if (found.length > 0 || clusters.length === 0) return found;
  const message = "the same labels are left out of identities everywhere";
  return [{ group: GROUP, status: "ok", subject: "comparable", message }];
}

function described({ cluster, version, digest = "" }: LabelFilterOf): string {
  return `${cluster}: ${digest}${version === undefined ? "" : ` of version ${version}`}`;
}
