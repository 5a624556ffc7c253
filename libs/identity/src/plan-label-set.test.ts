import assert from "node:assert/strict";
import { test } from "node:test";
import type { IdentityNumber } from "./number.js";
import { numberInUse, planLabelSet } from "./plan-label-set.js";

const NOW = 1_000_000;
const HOUR = 3_600_000;
const identity = (number: number, releasedAtMs?: number) => ({ number: number as IdentityNumber, releasedAtMs });
const plan = (isWanted: boolean, ...identities: readonly ReturnType<typeof identity>[]) => {
  const { steps, againMs } = planLabelSet({ isWanted, identities }, NOW);
  return [...steps.map((step) => (step.type === "create" ? "create" : `${step.type} ${step.number}`)), againMs];
};

test("a set that a pod has gets one number, and nothing more once it has it", () => {
  assert.deepEqual(plan(true), ["create", undefined]);
  assert.deepEqual(plan(true, identity(300)), [undefined]);
  assert.deepEqual(plan(false), [undefined]);
});

test("a number that nothing needs is released, kept for the quarantine, then deleted", () => {
  assert.deepEqual(plan(false, identity(300)), ["release 300", undefined]);
  assert.deepEqual(plan(false, identity(300, NOW)), [HOUR]);
  assert.deepEqual(plan(false, identity(300, NOW - HOUR + 1)), [1]);
  assert.deepEqual(plan(false, identity(300, NOW - HOUR)), ["delete 300", undefined]);
});

test("a released number is in use again for a pod that has its labels", () => {
  assert.deepEqual(plan(true, identity(300, NOW - 2 * HOUR)), ["revive 300", undefined]);
});

test("of two numbers the lowest is in use and the other one drains", () => {
  assert.equal(numberInUse([identity(301), identity(300, NOW)]), 300);
  assert.equal(numberInUse([]), undefined);
  assert.deepEqual(plan(true, identity(301), identity(300)), ["release 301", undefined]);
  assert.deepEqual(plan(true, identity(301, NOW - HOUR), identity(300)), ["delete 301", undefined]);
  assert.deepEqual(plan(true, identity(301), identity(300, NOW)), ["release 301", "revive 300", undefined]);
});

test("a mark in the future, by a clock that is ahead, counts from now", () => {
  assert.deepEqual(plan(false, identity(300, NOW + 24 * HOUR)), [HOUR]);
});
