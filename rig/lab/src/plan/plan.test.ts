import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@isthmus/model";
import { allNodes, controlPlaneMachine, makePlan } from "./plan.js";

const options = { name: "lab", index: 0, clusters: ["east", "west"], nodesPerCluster: 2, bare: false };

test("a plan names nodes after their cluster and is a function of its options", () => {
  const plan = makePlan(options);
  assert.deepEqual(
    allNodes(plan).map(({ name, address }) => `${name} ${address}`),
    ["east-1 10.200.1.1", "east-2 10.200.1.2", "west-1 10.200.2.1", "west-2 10.200.2.2"],
  );
  assert.deepEqual(makePlan(options), plan);
});

test("link names fit into 15 characters, whatever the clusters are called", () => {
  const clusters = Array.from({ length: 16 }, (_, n) => `a-very-long-name-${n}`);
  const plan = makePlan({ ...options, index: 31, clusters, nodesPerCluster: 16 });
  for (const { port } of [...allNodes(plan), ...plan.clusters.map(controlPlaneMachine)])
    assert.ok(port.length <= 15, port);
  assert.ok(plan.rootLink.length <= 15);
});

test("invalid options are usage errors", () => {
  const bad = [
    { name: "Lab" },
    { name: "a/b" },
    { clusters: [] },
    { clusters: ["east", "east"] },
    { clusters: ["East"] },
    { clusters: ["../x"] },
    { nodesPerCluster: 0 },
    { nodesPerCluster: 17 },
  ];
  for (const change of bad) {
    assert.throws(
      () => makePlan({ ...options, ...change }),
      (error) => error instanceof MeshError && error.code === "USAGE",
      JSON.stringify(change),
    );
  }
});
