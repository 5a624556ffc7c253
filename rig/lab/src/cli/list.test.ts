import assert from "node:assert/strict";
import { test } from "node:test";
import { describeLabs } from "./list.js";

test("there is a line for each lab, also for one of which only remains exist", () => {
  const text = describeLabs([
    { name: "demo", status: "Running", clusters: ["east", "west"], nodes: 4 },
    { name: "old", status: "Remains", clusters: [], nodes: 0 },
  ]);
  assert.equal(text, "NAME  STATUS   CLUSTERS   NODES\ndemo  Running  east,west  4\nold   Remains  -          0\n");
  assert.match(describeLabs([]), /mesh lab up/);
});
