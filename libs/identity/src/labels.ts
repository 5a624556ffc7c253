/**
 * The labels of an identity, by the keys that Cilium uses, so that selectors of existing policies mean the same here.
 *
 * Pod labels keep their key. What is not the pod's own word (namespace, service account, cluster) has keys of its own; a pod
 * label that has one of them is left out, so that a pod cannot claim another namespace. So are labels that the filter excludes.
 */
import { isExcludedLabel } from "./label-filter.js";

/** Key to value. Reserved identities have the one label `reserved:NAME`, which no Kubernetes object can have. */
export type Labels = ReadonlyMap<string, string>;

export const NAMESPACE_LABEL = "io.kubernetes.pod.namespace";
export const CLUSTER_LABEL = "io.cilium.k8s.policy.cluster";
export const SERVICE_ACCOUNT_LABEL = "io.cilium.k8s.policy.serviceaccount";
/** Followed by the key of a label of the pod's namespace. */
export const NAMESPACE_LABELS = "io.cilium.k8s.namespace.labels.";

/** Where the labels of a pod's identity come from. */
export interface PodFacts {
  /** Name of its cluster. */
  readonly cluster: string;
  /** Name of its namespace. */
  readonly namespace: string;
  /** By the keys that the Namespace object has. */
  readonly namespaceLabels: Labels;
  /** Name of the account that it runs as. */
  readonly serviceAccount: string;
  /** By the keys that the Pod object has; those that are no part of identities are left out. */
  readonly podLabels: Labels;
}

/** The label set of a pod's identity. */
export function podIdentityLabels(pod: PodFacts): Labels {
  const labels = new Map<string, string>();
  for (const [key, value] of pod.podLabels) if (isPodLabelOfIdentity(key)) labels.set(key, value);
  for (const [key, value] of pod.namespaceLabels) labels.set(NAMESPACE_LABELS + key, value);
  labels.set(NAMESPACE_LABEL, pod.namespace);
  labels.set(SERVICE_ACCOUNT_LABEL, pod.serviceAccount);
  labels.set(CLUSTER_LABEL, pod.cluster);
  return labels;
}

/** True for a label of a Pod object that its identity has, too. */
export function isPodLabelOfIdentity(key: string): boolean {
  return !isReservedKey(key) && !isExcludedLabel(key);
}

/** True for keys that are never a pod's own label. */
export function isReservedKey(key: string): boolean {
  return key === NAMESPACE_LABEL || key.startsWith("io.cilium.k8s.") || key.startsWith("reserved:");
}

/** A text that two label sets share only if they are equal, whatever their order. */
export function labelSetKey(labels: Labels): string {
  return JSON.stringify([...labels].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The labels of a `labelSetKey`, sorted by key. */
export function parseLabelSetKey(key: string): Labels {
  return new Map(JSON.parse(key) as [string, string][]);
}
