import assert from "node:assert/strict";
import { test } from "node:test";
import { Node } from "@isthmus/proto";
import { makeNode } from "@isthmus/testing";
import { type NodeName, nodeName } from "../desired/nodes/nodes.js";
import { desiredRoutes } from "./desired-routes.js";
import { parseRoutes, planRoutes } from "./reconcile-routes.js";

function nodes(...specs: readonly [cluster: number, name: string, ip: string, cidr: string][]): Map<NodeName, Node> {
  return new Map(
    specs.map(([cluster, name, ip, cidr]) => [nodeName(cluster, name), Node.decode(makeNode(name, ip, cidr).value)]),
  );
}

const NODES = nodes(
  [1, "n1", "172.18.0.1", "10.11.0.0/24"],
  [1, "n2", "172.18.0.2", "10.11.1.0/24"],
  [2, "w1", "172.19.0.1", "10.12.0.0/24"],
);
const ROUTES = desiredRoutes(NODES, nodeName(1, "n1"));

test("every other node of every cluster has a route through its InternalIP; the CIDR of this node is unreachable", () => {
  assert.deepEqual(
    [...ROUTES].map(([key, { via }]) => `${key} via ${via}`),
    ["unreachable 10.11.0.0/24 via undefined", "10.11.1.0/24 via 172.18.0.2", "10.12.0.0/24 via 172.19.0.1"],
  );
});

test("a CIDR of this node is not routed to another node that claims it", () => {
  const twice = nodes([1, "n1", "172.18.0.1", "10.11.0.0/24"], [1, "a", "172.18.0.8", "10.11.0.0/24"]);
  assert.deepEqual([...desiredRoutes(twice, nodeName(1, "n1")).keys()], ["unreachable 10.11.0.0/24"]);
});

test("of two nodes with the same CIDR the first by name gets the route, in any order of records", () => {
  const twice = nodes([1, "b", "172.18.0.9", "10.11.5.0/24"], [1, "a", "172.18.0.8", "10.11.5.0/24"]);
  assert.equal(desiredRoutes(twice, nodeName(1, "n1")).get("10.11.5.0/24")?.via, "172.18.0.8");
});

test("nodes of the local cluster have precedence for a CIDR, whatever the ids of the clusters", () => {
  const twice = nodes([10, "a", "172.19.0.9", "10.11.5.0/24"], [9, "b", "172.18.0.8", "10.11.5.0/24"]);
  assert.equal(desiredRoutes(twice, nodeName(9, "n1")).get("10.11.5.0/24")?.via, "172.18.0.8");
  assert.equal(desiredRoutes(twice, nodeName(10, "n1")).get("10.11.5.0/24")?.via, "172.19.0.9");
});

test("a CIDR that is too wide gets no route", () => {
  const wide = nodes([2, "w1", "172.19.0.1", "0.0.0.0/0"], [2, "w2", "172.19.0.2", "128.0.0.0/1"]);
  assert.equal(desiredRoutes(wide, nodeName(1, "n1")).size, 0);
});

test("missing routes are added, routes that are not desired are deleted, and present ones are not written", () => {
  const found = [
    { cidr: "10.11.1.0/24", via: "172.18.0.2" },
    { cidr: "10.99.0.0/24", via: "172.18.0.7" },
  ];
  const plan = planRoutes({ desired: ROUTES, present: found, everDesired: new Set(), complete: true });
  assert.deepEqual(plan.add, [
    "route replace unreachable 10.11.0.0/24 metric 1000000 proto 77",
    "route replace 10.12.0.0/24 via 172.19.0.1 proto 77",
  ]);
  assert.deepEqual(plan.remove, ["route del 10.99.0.0/24 proto 77"]);
});

test("when the node's CIDR changes, the unreachable route moves, and the old CIDR is routed to its new node", () => {
  const moved = nodes([1, "n1", "172.18.0.1", "10.11.7.0/24"], [1, "n2", "172.18.0.2", "10.11.0.0/24"]);
  const desired = desiredRoutes(moved, nodeName(1, "n1"));
  const found = [{ cidr: "10.11.0.0/24", via: undefined }];
  const plan = planRoutes({
    desired,
    present: found,
    everDesired: new Set(["unreachable 10.11.0.0/24"]),
    complete: false,
  });
  assert.deepEqual(plan, {
    add: [
      "route replace unreachable 10.11.7.0/24 metric 1000000 proto 77",
      "route replace 10.11.0.0/24 via 172.18.0.2 proto 77",
    ],
    remove: ["route del unreachable 10.11.0.0/24 proto 77"],
  });
});

test("a route that is not desired stays until all sources are in sync, unless it was desired before", () => {
  const found = [
    { cidr: "10.98.0.0/24", via: "172.18.0.7" },
    { cidr: "10.99.0.0/24", via: "172.18.0.7" },
  ];
  const plan = planRoutes({
    desired: new Map(),
    present: found,
    everDesired: new Set(["10.98.0.0/24"]),
    complete: false,
  });
  assert.deepEqual(plan.remove, ["route del 10.98.0.0/24 proto 77"]);
});

test("the output of ip is parsed, also when it is empty or contains a host route", () => {
  assert.deepEqual(parseRoutes(""), []);
  const json =
    '[{"dst":"10.11.1.0/24","gateway":"172.18.0.2","dev":"eth0"},{"dst":"10.9.9.9","dev":"x"},{"dst":"default"},' +
    '{"type":"unreachable","dst":"10.11.0.0/24","metric":1000000,"flags":[]}]';
  assert.deepEqual(parseRoutes(json), [
    { cidr: "10.11.1.0/24", via: "172.18.0.2" },
    { cidr: "10.9.9.9/32", via: "" },
    { cidr: "10.11.0.0/24", via: undefined },
  ]);
});
