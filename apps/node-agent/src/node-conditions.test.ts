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

test("a long message is cut to what the apiserver takes", () => {
  const conditions = createNodeConditions(() => undefined);
  conditions.set("A", "\u65e5".repeat(5000));
  const [condition] = conditions.list();
  assert.ok(Buffer.byteLength(condition?.message ?? "") <= 1024);
});
