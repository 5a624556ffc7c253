import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress, formatPrefix, parseAddress, parsePrefix } from "@isthmus/model";
import { Node } from "@isthmus/proto";
import { makeNode } from "@isthmus/testing";
import fc from "fast-check";
import { nodeName } from "../desired/nodes/nodes.js";
import { createDesiredRoutes, type DesiredRoutes } from "./desired-routes.js";
import { type Route, routeKey, routeOf, routeValue } from "./route.js";

type Spec = readonly [cluster: number, name: string, ip: string, cidr: string];

const take = (routes: DesiredRoutes, [cluster, name, ip, cidr]: Spec) =>
  routes.setNode(nodeName(cluster, name), Node.decode(makeNode(name, ip, cidr).value));

const textOf = (route: Route | undefined) =>
  route === undefined
    ? undefined
    : `${formatPrefix(route.prefix)} ${route.via === undefined ? "unreachable" : `via ${formatAddress(route.via)}`}`;

/** The desired routes of a node for the CIDRs of these nodes, as text. */
function desiredRoutes(self: readonly [cluster: number, name: string], ...nodes: readonly Spec[]): readonly string[] {
  const routes = createDesiredRoutes(nodeName(...self));
  for (const node of nodes) take(routes, node);
  const cidrs = new Set(nodes.map(([, , , cidr]) => cidr));
  return [...cidrs].flatMap((cidr) => textOf(routes.get(parsePrefix(cidr))) ?? []);
}

test("every other node of every cluster has a route through its InternalIP; the CIDR of this node is unreachable", () => {
  assert.deepEqual(
    desiredRoutes(
      [1, "n1"],
      [1, "n1", "172.18.0.1", "10.11.0.0/24"],
      [1, "n2", "172.18.0.2", "10.11.1.0/24"],
      [2, "w1", "172.19.0.1", "10.12.0.0/24"],
    ),
    ["10.11.0.0/24 unreachable", "10.11.1.0/24 via 172.18.0.2", "10.12.0.0/24 via 172.19.0.1"],
  );
});

test("a CIDR of this node is not routed to another node that claims it", () => {
  const twice: readonly Spec[] = [
    [1, "n1", "172.18.0.1", "10.11.0.0/24"],
    [1, "a", "172.18.0.8", "10.11.0.0/24"],
  ];
  assert.deepEqual(desiredRoutes([1, "n1"], ...twice), ["10.11.0.0/24 unreachable"]);
});

test("of two nodes with the same CIDR the first by name gets the route, in any order of records", () => {
  const twice: readonly Spec[] = [
    [1, "b", "172.18.0.9", "10.11.5.0/24"],
    [1, "a", "172.18.0.8", "10.11.5.0/24"],
  ];
  for (const nodes of [twice, [...twice].reverse()])
    assert.deepEqual(desiredRoutes([1, "n1"], ...nodes), ["10.11.5.0/24 via 172.18.0.8"]);
});

test("nodes of the local cluster have precedence for a CIDR, whatever the ids of the clusters", () => {
  const twice: readonly Spec[] = [
    [10, "a", "172.19.0.9", "10.11.5.0/24"],
    [9, "b", "172.18.0.8", "10.11.5.0/24"],
  ];
  assert.deepEqual(desiredRoutes([9, "n1"], ...twice), ["10.11.5.0/24 via 172.18.0.8"]);
  assert.deepEqual(desiredRoutes([10, "n1"], ...twice), ["10.11.5.0/24 via 172.19.0.9"]);
});

test("a CIDR that is too wide gets no route", () => {
  assert.deepEqual(
    desiredRoutes([1, "n1"], [2, "w1", "172.19.0.1", "0.0.0.0/0"], [2, "w2", "172.19.0.2", "128.0.0.0/1"]),
    [],
  );
});

test("a changed node names the CIDRs that it had and has, and no others", () => {
  const routes = createDesiredRoutes(nodeName(1, "n1"));
  const named = (cidrs: Iterable<Route["prefix"]>) => [...cidrs].map(formatPrefix).sort();
  take(routes, [1, "n3", "172.18.0.3", "10.11.3.0/24"]);
  assert.deepEqual(named(take(routes, [1, "n2", "172.18.0.2", "10.11.2.0/24"])), ["10.11.2.0/24"]);
  assert.deepEqual(named(take(routes, [1, "n2", "172.18.0.2", "10.11.9.0/24"])), ["10.11.2.0/24", "10.11.9.0/24"]);
  assert.deepEqual(named(routes.setNode(nodeName(1, "n2"), undefined)), ["10.11.9.0/24"]);
  assert.deepEqual(named(routes.setNode(nodeName(1, "n2"), undefined)), []);
});

test("the desired routes depend on the last record of each node, not on the order of records", () => {
  const spec = fc.tuple(
    fc.constantFrom(1, 2),
    fc.constantFrom("n1", "n2", "n3"),
    fc.constantFrom("172.18.0.1", "172.18.0.2"),
    fc.constantFrom("10.11.1.0/24", "10.11.2.0/24", "10.11.3.0/24", undefined),
  );
  const cidrs = ["10.11.1.0/24", "10.11.2.0/24", "10.11.3.0/24"].map(parsePrefix);
  fc.assert(
    fc.property(fc.array(spec), (specs) => {
      const [walked, fresh] = [createDesiredRoutes(nodeName(1, "n1")), createDesiredRoutes(nodeName(1, "n1"))];
      const last = new Map<string, Spec>();
      for (const [cluster, name, ip, cidr] of specs) {
        const key = nodeName(cluster, name);
        last.delete(key);
        if (cidr === undefined) walked.setNode(key, undefined);
        else {
          take(walked, [cluster, name, ip, cidr]);
          last.set(key, [cluster, name, ip, cidr]);
        }
      }
      for (const each of [...last.values()].reverse()) take(fresh, each);
      for (const cidr of cidrs) assert.equal(textOf(walked.get(cidr)), textOf(fresh.get(cidr)));
    }),
  );
});

test("a route is the same after it was a key and a value", () => {
  for (const [cidr, via] of [
    ["10.12.0.0/24", "172.18.0.2"],
    ["10.12.0.0/24", undefined],
    ["fd00:1::/64", "fd00::2"],
  ]) {
    const route: Route = { prefix: parsePrefix(cidr ?? ""), via: via === undefined ? undefined : parseAddress(via) };
    assert.equal(textOf(routeOf(routeKey(route), routeValue(route))), textOf(route));
  }
});
