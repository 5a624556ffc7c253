import assert from "node:assert/strict";
import { test } from "node:test";
import { type FaultOfNetwork, isBetween, overlaps, randomFault } from "./network-faults.js";
import { createRandom } from "./random.js";

const [EAST_1, EAST_2, WEST_1, WEST_2] = ["east-1", "east-2", "west-1", "west-2"].map((node) => ({
  cluster: node.slice(0, 4),
  node,
})) as [Place, Place, Place, Place];
type Place = { readonly cluster: string; readonly node: string };
const ALL = [EAST_1, EAST_2, WEST_1, WEST_2];

/** Pairs of nodes that the fault is between, as "east-1 west-1". */
const pairs = (fault: FaultOfNetwork) =>
  ALL.flatMap((one, i) =>
    ALL.slice(i).flatMap((other) => {
      const found = isBetween({ fault, from: 0 }, one, other);
      assert.equal(isBetween({ fault, from: 0 }, other, one), found, "both ways, since each try needs an answer");
      return found ? [`${one.node} ${other.node}`] : [];
    }),
  );
const ABROAD = ["east-1 west-1", "east-1 west-2", "east-2 west-1", "east-2 west-2"];

test("a fault is between the nodes whose packets it loses, never within one node", () => {
  assert.deepEqual(pairs({ kind: "dark", cluster: "west" }), [...ABROAD, "west-1 west-2"]);
  assert.deepEqual(pairs({ kind: "node", cluster: "west", node: "west-1" }), [
    "east-1 west-1",
    "east-2 west-1",
    "west-1 west-2",
  ]);
  const [a, b] = [{ cluster: "east" }, { cluster: "west" }];
  for (const oneWay of [false, true]) assert.deepEqual(pairs({ kind: "path", a, b, oneWay }), ABROAD);
  assert.deepEqual(pairs({ kind: "loss", a, b, oneWay: false, percent: 5 }), ABROAD);
  assert.deepEqual(pairs({ kind: "path", a: WEST_2, b: a, oneWay: false }), ["east-1 west-2", "east-2 west-2"]);
});

test("a fault that has not ended overlaps all that comes", () => {
  const time = { began: 10, ended: 20 };
  assert.ok(overlaps({ from: 20 }, time) && overlaps({ from: 1 }, time) && !overlaps({ from: 21 }, time));
  assert.ok(overlaps({ from: 1, to: 10 }, time) && !overlaps({ from: 1, to: 9 }, time));
});

test("faults are drawn at each place", () => {
  const random = createRandom(1);
  const nodesOf = (name: string) => ALL.filter(({ cluster }) => cluster === name).map(({ node }) => ({ name: node }));
  const clusters = ["east", "west"].map((name) => ({ name, nodes: nodesOf(name) }));
  const drawn = (kind: FaultOfNetwork["kind"]) =>
    new Set(Array.from({ length: 100 }, () => JSON.stringify(randomFault(kind, random, clusters))));
  const sizes = (["dark", "node", "path", "loss"] as const).map((kind) => drawn(kind).size);
  assert.deepEqual(sizes, [2, 4, 4, 2]);
});
