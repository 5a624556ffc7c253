import assert from "node:assert/strict";
import { test } from "node:test";
import type { LabPlan } from "@isthmus/lab";
import { pidIn, portOf, selectorOf } from "./places.js";

const plan = {
  underlay: { storeAddress: "10.200.254.1" },
  clusters: [
    { name: "west", apiAddress: "10.200.0.2" },
    { name: "east", apiAddress: "10.200.0.1" },
  ],
} as unknown as LabPlan;

test("the agent is the client node's, the apiserver east's, the store nobody's in particular", () => {
  assert.deepEqual(selectorOf("node-agent", "east-2"), { role: "node-agent", cluster: "east", node: "east-2" });
  assert.deepEqual(selectorOf("clustermesh-apiserver", "east-2"), { role: "clustermesh-apiserver", cluster: "east" });
  assert.deepEqual(selectorOf("mesh-etcd", "east-2"), { role: "mesh-etcd" });
});

test("ports are east's and the store's; an agent has none", () => {
  assert.deepEqual(portOf(plan, "clustermesh-apiserver"), { host: "10.200.0.1", port: 7443 });
  assert.deepEqual(portOf(plan, "mesh-etcd"), { host: "10.200.254.1", port: 2379 });
  assert.throws(() => portOf(plan, "node-agent"), /"node-agent": it has no port/);
});

test("a process is found among its likes; one that does not run has no pid", () => {
  const row = (cluster: string, node: string, pid: number) => ({ role: "node-agent", cluster, node, pid });
  const rows = [row("west", "west-1", 1), row("east", "east-1", 2), row("east", "east-2", 3), row("east", "east-3", 0)];
  assert.equal(pidIn(rows, selectorOf("node-agent", "east-2")), 3);
  assert.equal(pidIn(rows, selectorOf("node-agent", "east-3")), null);
  assert.equal(pidIn(rows, selectorOf("mesh-etcd", "east-2")), null);
});
