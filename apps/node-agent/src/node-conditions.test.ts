import assert from "node:assert/strict";
import { test } from "node:test";
import { createNodeConditions } from "./node-conditions.js";

test("a condition is sent when it changes, and on each new stream while it is set", () => {
  const reports: string[][] = [];
  const conditions = createNodeConditions(() => {
    reports.push(conditions.list().map(({ type, message }) => `${type}: ${message}`));
  });
  conditions.connected();
  conditions.set("A", undefined);
  assert.deepEqual(reports, []);
  conditions.set("A", "wrong");
  conditions.set("A", "wrong");
  conditions.connected();
  conditions.set("A", undefined);
  conditions.connected();
  assert.deepEqual(reports, [["A: wrong"], ["A: wrong"], []]);
});
