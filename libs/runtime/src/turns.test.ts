import assert from "node:assert/strict";
import { test } from "node:test";
import { inTurns, nextTurn, type Slices } from "./turns.js";

test("other work runs between the slices, and the result is that of the last one", async () => {
  const order: string[] = [];
  function* work(): Slices<string> {
    order.push("one");
    yield;
    order.push("two");
    return "result";
  }
  const result = inTurns(work());
  setImmediate(() => order.push("other"));
  await Promise.resolve();
  assert.deepEqual(order, ["one"]);
  assert.equal(await result, "result");
  await nextTurn();
  assert.deepEqual(order, ["one", "two", "other"]);
});

test("an error of a slice ends the work", async () => {
  function* work(): Slices<void> {
    yield;
    throw new Error("unreadable");
  }
  await assert.rejects(inTurns(work()), /unreadable/);
});
