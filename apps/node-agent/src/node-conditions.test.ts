import assert from "node:assert/strict";
import { test } from "node:test";
import { createNodeConditions } from "./node-conditions.js";

test("a condition is sent when it changes, and on each new stream while it is set", () => {
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
