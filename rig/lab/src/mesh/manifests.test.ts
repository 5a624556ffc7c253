import assert from "node:assert/strict";
import { test } from "node:test";
import { at, text } from "../api/json.js";
import { makePlan } from "../plan/plan.js";
import { meshConfig, withoutWorkloads } from "./manifests.js";

test("workloads and an existing mesh-config are dropped, the rest keeps its order", () => {
  const yaml = `kind: Namespace
---
kind: Deployment
---
kind: ConfigMap
metadata: {name: mesh-config}
---
kind: ConfigMap
metadata: {name: other}
---
kind: ServiceAccount
`;
  assert.deepEqual(
    withoutWorkloads(yaml).map((object) => text(object, "kind")),
    ["Namespace", "ConfigMap", "ServiceAccount"],
  );
});

test("the static settings contain every key that the apiserver reads, as text", () => {
  const [east] = makePlan({ name: "lab", index: 0, clusters: ["east"], nodesPerCluster: 1, bare: false }).clusters;
  assert.ok(east !== undefined);
  assert.deepEqual(at(meshConfig(east, "PEM"), "data"), {
    "cluster-name": "east",
    "cluster-id": "1",
    "pod-cidrs": "10.11.0.0/16",
    "service-cidrs": "10.96.0.0/16",
    servers: "10.200.0.1:7443",
    "admin-servers": "10.200.0.1:7444",
    "admin-ca": "PEM",
  });
});
