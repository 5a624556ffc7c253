import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LABEL_FILTER_DIGEST } from "./label-filter.js";
import { isReservedKey, labelSetKey, parseLabelSetKey, podIdentityLabels } from "./labels.js";

const POD = {
  cluster: "east",
  namespace: "shop",
  namespaceLabels: new Map([["team", "shop"]]),
  serviceAccount: "web",
  podLabels: new Map([["app", "web"]]),
};
const EXPECTED = {
  app: "web",
  "io.kubernetes.pod.namespace": "shop",
  "io.cilium.k8s.policy.cluster": "east",
  "io.cilium.k8s.policy.serviceaccount": "web",
  "io.cilium.k8s.namespace.labels.team": "shop",
};

test("a pod's identity has its labels, and its namespace, account and cluster under Cilium's keys", () => {
  assert.deepEqual(Object.fromEntries(podIdentityLabels(POD)), EXPECTED);
});

test("a pod cannot claim another namespace, cluster or service account by a label", () => {
  const claims = [
    ["io.kubernetes.pod.namespace", "bank"],
    ["io.cilium.k8s.policy.cluster", "west"],
    ["io.cilium.k8s.policy.serviceaccount", "root"],
    ["io.cilium.k8s.namespace.labels.team", "bank"],
    ["io.cilium.k8s.namespace.labels.trusted", "yes"],
    ["reserved:host", ""],
  ] as const;
  const labels = podIdentityLabels({ ...POD, podLabels: new Map([...POD.podLabels, ...claims]) });
  assert.deepEqual(Object.fromEntries(labels), EXPECTED);
  assert.ok(!isReservedKey("app") && isReservedKey("reserved:world"));
});

test("labels that controllers change with each pod, rollout or run are no part of an identity", () => {
  const changing = [
    ["pod-template-hash", "5d4f"],
    ["controller-revision-hash", "web-7c"],
    ["statefulset.kubernetes.io/pod-name", "web-0"],
    ["apps.kubernetes.io/pod-index", "0"],
    ["batch.kubernetes.io/job-name", "nightly-28"],
    ["job-name", "nightly-28"],
    ["batch.kubernetes.io/controller-uid", "u"],
    ["batch.kubernetes.io/job-completion-index", "4"],
  ] as const;
  const labels = podIdentityLabels({ ...POD, podLabels: new Map([...POD.podLabels, ...changing]) });
  assert.deepEqual(Object.fromEntries(labels), EXPECTED);
});

test("a namespace's labels are taken as they are, also those that pods lose", () => {
  const namespaceLabels = new Map([
    ["kubernetes.io/metadata.name", "shop"],
    ["job-name", "x"],
  ]);
  const labels = podIdentityLabels({ ...POD, namespaceLabels });
  assert.equal(labels.get("io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name"), "shop");
  assert.equal(labels.get("io.cilium.k8s.namespace.labels.job-name"), "x");
});

test("two label sets have one key only if they are equal, whatever their order", () => {
  const labels = fc.array(fc.tuple(fc.string({ maxLength: 3 }), fc.string({ maxLength: 3 })), { maxLength: 4 });
  const sorted = (entries: ReadonlyMap<string, string>) => [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  fc.assert(
    fc.property(labels, labels, fc.boolean(), (a, b, same) => {
      const one = new Map(a);
      const other = same ? new Map([...one].reverse()) : new Map(b);
      const isEqual = JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
      assert.equal(labelSetKey(one) === labelSetKey(other), isEqual);
      assert.deepEqual([...parseLabelSetKey(labelSetKey(one))], sorted(one));
    }),
  );
});

test("the filter's digest is that of its keys", () => {
  // Another filter makes identities of other labels: a change of this value is one that operators must be told of.
  assert.equal(Buffer.from(LABEL_FILTER_DIGEST).toString("hex"), "99113e02ea50011c4c3b22d9b6c6f462");
});
