import assert from "node:assert/strict";
import { test } from "node:test";
import { createStatusTable } from "./status.js";

test("a failed key is due after a wait that doubles, and a success resets the wait", () => {
  const table = createStatusTable({ minMs: 100, maxMs: 300 });
  table.failed("a", new Error("full"), 0);
  assert.deepEqual([table.due(99), table.due(100)], [[], ["a"]]);
  table.failed("a", new Error("full"), 100);
  assert.equal(table.nextDue, 300);
  table.failed("a", new Error("full"), 300);
  assert.equal(table.nextDue, 600);
  table.done("a", 600);
  assert.deepEqual([table.nextDue, table.errors.size, table.get("a")], [undefined, 0, { state: "Done", since: 600 }]);
});

test("a failed key stays in state Error while it waits, also when it is marked as pending", () => {
  const table = createStatusTable();
  table.failed("a", new Error("full"), 0);
  table.pending("a", 1);
  table.pending("b", 1);
  assert.deepEqual([table.get("a")?.state, table.get("b")?.state], ["Error", "Pending"]);
});

test("hurry makes only keys with a wanted error due at once", () => {
  const table = createStatusTable();
  table.failed("full", new Error("full"), 0);
  table.failed("other", new Error("other"), 0);
  table.retryNow(1, (error) => error.message === "full");
  assert.deepEqual(table.due(1), ["full"]);
});

test("nextDue works for any number of failed keys", () => {
  const table = createStatusTable({ minMs: 100, maxMs: 300 });
  for (let i = 0; i < 200_000; i++) table.failed(String(i), new Error("full"), 200_000 - i);
  assert.equal(table.nextDue, 101);
});
