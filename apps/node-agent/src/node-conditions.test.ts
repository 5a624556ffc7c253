import assert from "node:assert/strict";
import { test } from "node:test";
import { createNodeConditions } from "./node-conditions.js";

test("a condition is told when it changes, and to each new stream for as long as it holds", () => {
  const told: string[][] = [];
  const conditions = createNodeConditions(() => {
    told.push(conditions.list().map(({ type, message }) => `${type}: ${message}`));
  });
  conditions.connected();
  conditions.set("A", undefined);
  assert.deepEqual(told, []);
  conditions.set("A", "wrong");
  conditions.set("A", "wrong");
  conditions.connected();
  conditions.set("A", undefined);
  conditions.connected();
  assert.deepEqual(told, [["A: wrong"], ["A: wrong"], []]);
});
