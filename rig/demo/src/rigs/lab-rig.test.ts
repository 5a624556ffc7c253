import assert from "node:assert/strict";
import { test } from "node:test";
import type { LabPlan } from "@isthmus/lab";
import { addressOf, pidIn, selectorOf } from "./lab-rig.js";

const plan = {
  underlay: { storeAddress: "10.200.254.1" },
  clusters: [
    { name: "west", apiAddress: "10.200.0.2" },
    { name: "east", apiAddress: "10.200.0.1" },
  ],
} as unknown as LabPlan;

test("the apiserver is selected in east, the store without a cluster", () => {
  assert.deepEqual(selectorOf("clustermesh-apiserver"), { role: "clustermesh-apiserver", cluster: "east" });
  assert.deepEqual(selectorOf("mesh-etcd"), { role: "mesh-etcd" });
});

test("addresses are those of east's apiserver and of the store", () => {
  assert.deepEqual(addressOf(plan, "clustermesh-apiserver"), { host: "10.200.0.1", port: 7443 });
  assert.deepEqual(addressOf(plan, "mesh-etcd"), { host: "10.200.254.1", port: 2379 });
  const west = { ...plan, clusters: plan.clusters.filter((cluster) => cluster.name === "west") };
  assert.throws(() => addressOf(west, "clustermesh-apiserver"), /Cannot find cluster "east"/);
});

test("a process is found among others of its role; one that does not run has no pid", () => {
  const row = (cluster: string, node: string, pid: number) => ({ role: "node-agent", cluster, node, pid });
  const rows = [row("west", "west-1", 1), row("east", "east-1", 2), row("east", "east-2", 3), row("east", "east-3", 0)];
  const agent = (node: string) => ({ role: "node-agent", cluster: "east", node });
  assert.equal(pidIn(rows, agent("east-2")), 3);
  assert.equal(pidIn(rows, agent("east-3")), null);
  assert.equal(pidIn(rows, selectorOf("mesh-etcd")), null);
});
