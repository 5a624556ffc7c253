import assert from "node:assert/strict";
import { test } from "node:test";
import { isReservedKey, podIdentityLabels } from "./labels.js";
import { createSelector, selects } from "./selector.js";

test("the text of a selector does not depend on how it is written", () => {
  const a = createSelector([
    { key: "tier", operator: "Exists" },
    { key: "app", operator: "In", values: ["b", "a", "b"] },
  ]);
  const b = createSelector([
    { key: "app", operator: "In", values: ["a", "b"] },
    { key: "tier", operator: "Exists" },
    { key: "tier", operator: "Exists" },
  ]);
  assert.deepEqual(a, b);
  assert.equal(a.text, "app In a,b; tier Exists");
});

test("NotIn and DoesNotExist hold for a key that is absent, In and Exists do not", () => {
  const none = new Map<string, string>();
  const holds = (operator: "In" | "NotIn") => selects(createSelector([{ key: "a", operator, values: ["x"] }]), none);
  const isThere = (operator: "Exists" | "DoesNotExist") => selects(createSelector([{ key: "a", operator }]), none);
  assert.deepEqual(
    [holds("In"), holds("NotIn"), isThere("Exists"), isThere("DoesNotExist")],
    [false, true, false, true],
  );
  assert.ok(selects(createSelector([]), none));
});

test("a pod cannot claim another namespace, cluster or service account by a label", () => {
  const labels = podIdentityLabels({
    cluster: "east",
    namespace: "shop",
    namespaceLabels: new Map([["team", "shop"]]),
    serviceAccount: "web",
    podLabels: new Map([
      ["app", "web"],
      ["io.kubernetes.pod.namespace", "bank"],
      ["io.cilium.k8s.policy.cluster", "west"],
      ["io.cilium.k8s.policy.serviceaccount", "root"],
      ["io.cilium.k8s.namespace.labels.team", "bank"],
      ["io.cilium.k8s.namespace.labels.trusted", "yes"],
    ]),
  });
  assert.deepEqual(Object.fromEntries(labels), {
    app: "web",
    "io.kubernetes.pod.namespace": "shop",
    "io.cilium.k8s.policy.cluster": "east",
    "io.cilium.k8s.policy.serviceaccount": "web",
    "io.cilium.k8s.namespace.labels.team": "shop",
  });
  assert.ok(!isReservedKey("app") && isReservedKey("reserved:world"));
});
