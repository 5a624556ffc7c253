import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type ClusterAuditMode,
  isAudited,
  type NamespaceAuditMode,
  type PodAuditMode,
  parseClusterAuditMode,
  parseNamespaceAuditMode,
  parsePodAuditMode,
} from "./audit-mode.js";

const PODS: readonly (PodAuditMode | undefined)[] = [undefined, "false", "true"];

/** By cluster and namespace: a pod without the annotation, with "false", with "true". */
const TABLE: readonly (readonly [ClusterAuditMode, NamespaceAuditMode | undefined, string])[] = [
  ["false", undefined, "---"],
  ["false", "false", "---"],
  ["false", "true", "a-a"],
  ["false", "per-pod", "--a"],
  ["true", undefined, "a-a"],
  ["true", "false", "---"],
  ["true", "true", "a-a"],
  ["true", "per-pod", "--a"],
  ["never", undefined, "---"],
  ["never", "false", "---"],
  ["never", "true", "---"],
  ["never", "per-pod", "---"],
];

test("the most specific setting decides, and a pod opens itself only where its namespace or its cluster lets it", () => {
  for (const [cluster, namespace, expected] of TABLE) {
    const modes = PODS.map((pod) => (isAudited({ cluster, namespace, pod }) ? "a" : "-")).join("");
    assert.equal(modes, expected, `${cluster} ${namespace}`);
  }
});

test("a value is one of the words exactly", () => {
  assert.deepEqual(["false", "true", "never", "per-pod", "True", ""].map(parseClusterAuditMode), [
    ...(["false", "true", "never"] as const),
    ...[undefined, undefined, undefined],
  ]);
  assert.deepEqual(["per-pod", "never", " true"].map(parseNamespaceAuditMode), ["per-pod", undefined, undefined]);
  assert.deepEqual(["true", "per-pod", "yes"].map(parsePodAuditMode), ["true", undefined, undefined]);
});
