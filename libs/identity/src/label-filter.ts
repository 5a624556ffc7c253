/**
 * The label filter: pod labels that Kubernetes' controllers set to another value for each pod, revision or run.
 *
 * With them every pod or every rollout would have an identity of its own. A policy cannot select by them either: libs/policy does
 * not accept one that does, because it would select nobody.
 */
import { createHash } from "node:crypto";

const EXCLUDED: ReadonlySet<string> = new Set([
  // Deployments, DaemonSets, StatefulSets: another value for each revision.
  "pod-template-hash",
  "pod-template-generation",
  "controller-revision-hash",
  // StatefulSets and indexed Jobs: another value for each pod.
  "statefulset.kubernetes.io/pod-name",
  "apps.kubernetes.io/pod-index",
  "batch.kubernetes.io/job-completion-index",
  // Jobs: another value for each run, under the keys before and after Kubernetes 1.27.
  "job-name",
  "controller-uid",
  "batch.kubernetes.io/job-name",
  "batch.kubernetes.io/controller-uid",
]);

/** True for a key of a Pod's label that is no part of its identity. */
export function isExcludedLabel(key: string): boolean {
  return EXCLUDED.has(key);
}

/** 16 bytes, equal in two clusters whose filters are equal: pods with the same labels have comparable identities then. */
export const LABEL_FILTER_DIGEST: Uint8Array = createHash("sha256")
  .update([...EXCLUDED].sort().join("\n"))
  .digest()
  .subarray(0, 16);
