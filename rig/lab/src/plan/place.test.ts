import assert from "node:assert/strict";
import { test } from "node:test";
import { makePlan } from "./plan.js";
import { checkPlace } from "./place.js";

const plan = makePlan({ name: "lab", index: 0, clusters: ["east", "west"], nodesPerCluster: 2, bare: true });

test("a known cluster and node are returned, without those that were not given", () => {
  assert.deepEqual(checkPlace(plan, {}), {});
  assert.deepEqual(checkPlace(plan, { node: "west-2" }), { node: "west-2" });
  assert.deepEqual(checkPlace(plan, { cluster: "east", node: "east-1" }), { cluster: "east", node: "east-1" });
});

test("an unknown cluster or node is a usage error with the choices", () => {
  const refused = (place: Parameters<typeof checkPlace>[1], message: string) =>
    assert.throws(() => checkPlace(plan, place), { code: "USAGE", message });
  refused({ cluster: "north" }, 'Unknown cluster "north" in lab "lab": use one of east, west');
  refused({ node: "east-3" }, 'Unknown node "east-3" in lab "lab": use one of east-1, east-2, west-1, west-2');
  refused({ cluster: "east", node: "west-1" }, 'Unknown node "west-1" in lab "lab": use one of east-1, east-2');
});
