/**
 * Policy audit mode: what policies do not allow a pod passes, and is reported (pure). The pod's own annotation decides before its
 * namespace's, and that before the cluster's setting; but a pod is in the mode only if its namespace or its cluster lets it be: its
 * owner is bound by the policies that select it.
 */

/** Setting of the cluster. `never`: no pod is in the mode, whatever annotations say. */
export type ClusterAuditMode = "false" | "true" | "never";
/** Annotation of a Namespace. `per-pod`: those of its pods that ask for it. */
export type NamespaceAuditMode = "false" | "true" | "per-pod";
/** Annotation of a pod. */
export type PodAuditMode = "false" | "true";

const CLUSTER: readonly ClusterAuditMode[] = ["false", "true", "never"];
const NAMESPACE: readonly NamespaceAuditMode[] = ["false", "true", "per-pod"];
const POD: readonly PodAuditMode[] = ["false", "true"];

/** Undefined for any other text. */
export const parseClusterAuditMode = parserOf(CLUSTER);
export const parseNamespaceAuditMode = parserOf(NAMESPACE);
export const parsePodAuditMode = parserOf(POD);

/** What is said of a pod; undefined: nothing. */
export interface AuditSettings {
  /** Of the pod's cluster. */
  readonly cluster: ClusterAuditMode;
  /** Of the pod's namespace. */
  readonly namespace: NamespaceAuditMode | undefined;
  /** Of the pod itself. */
  readonly pod: PodAuditMode | undefined;
}

/** True for a pod in audit mode. */
export function isAudited({
  cluster,
  namespace = cluster === "never" ? "false" : cluster,
  pod,
}: AuditSettings): boolean {
  if (cluster === "never" || pod === "false") return false;
  return namespace === "true" || (namespace === "per-pod" && pod === "true");
}

function parserOf<Value extends string>(values: readonly Value[]): (text: string) => Value | undefined {
  return (text) => values.find((value) => value === text);
}
