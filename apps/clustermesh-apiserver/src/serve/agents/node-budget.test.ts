import assert from "node:assert/strict";
import { test } from "node:test";
import { Kind } from "@isthmus/proto";
import { createFakeClock } from "@isthmus/testing";
import { createNodeBudgets } from "./node-budget.js";

const count = (most: number, take: () => boolean): number => {
  for (let i = 0; i < most; i++) if (!take()) return i;
  return most;
};

test("the messages of an agent that connects after a long absence are within its budget, even three times", () => {
  const budgets = createNodeBudgets(createFakeClock());
  const sources = 250;
  for (let again = 0; again < 3; again++) {
    assert.equal(budgets.stream("n1"), true);
    for (let i = 0; i < 1250; i++) assert.equal(budgets.message("n1", 200), undefined);
    for (let i = 0; i < 7 * sources; i++) assert.equal(budgets.buckets("n1", Kind.KIND_SLICE, sources), undefined);
  }
});

test("a node over its budget is refused, other nodes are not, and the budget refills with time", async () => {
  const clock = createFakeClock();
  const budgets = createNodeBudgets(clock);
  assert.ok(count(1000, () => budgets.stream("n1")) < 100);
  assert.ok(count(100_000, () => budgets.message("n1", 1) === undefined) < 10_000);
  assert.ok(count(1000, () => budgets.message("n2", 300_000) === undefined) < 20, "bytes are limited");
  assert.ok(count(1000, () => budgets.buckets("n1", Kind.KIND_NODE, 2) === undefined) < 100);
  assert.equal(budgets.buckets("n1", 99 as Kind, 2), undefined, "an unknown kind costs nothing");
  assert.equal(budgets.stream("n2"), true);
  await clock.advance(10_000);
  assert.ok(count(1000, () => budgets.stream("n1")) >= 20);
  assert.equal(budgets.message("n1", 1000), undefined);
});

test("a sweep keeps budgets that are not full again, so that a node gains nothing by waiting for a sweep", async () => {
  const clock = createFakeClock();
  const budgets = createNodeBudgets(clock);
  const take = () => count(1000, () => budgets.buckets("n1", Kind.KIND_NODE, 2) === undefined);
  const all = take();
  await clock.advance(61_000);
  assert.equal(budgets.stream("n2"), true);
  const half = take();
  assert.ok(half >= all / 2 && half < all * 0.6, `${half} of ${all}`);
  await clock.advance(200_000);
  assert.equal(budgets.stream("n2"), true);
  assert.equal(take(), all);
});
