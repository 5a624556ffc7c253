import assert from "node:assert/strict";
import { test } from "node:test";
import { createBackendUses } from "./backend-uses.js";

test("a row that is released before it was written is free, and one that was written waits to be retired", () => {
  const uses = createBackendUses();
  uses.create(1);
  uses.create(2);
  assert.equal(uses.release(1), true);
  assert.deepEqual([uses.isUsable(1), uses.takeNew(), uses.garbage], [false, [2], false]);
  assert.equal(uses.release(2), false);
  assert.deepEqual([uses.isUsable(2), uses.isLive(2), uses.garbage], [true, true, true]);
});

test("a row is new once, also if it was created again before it was written", () => {
  const uses = createBackendUses();
  uses.create(1);
  uses.release(1);
  uses.create(1);
  assert.deepEqual([uses.takeNew(), uses.takeNew()], [[1], []]);
});

test("an unused row that is used again is not retired; retired ones cool until they are recycled", () => {
  const uses = createBackendUses();
  for (const index of [1, 2, 3]) uses.adopt(index);
  uses.use(2);
  assert.deepEqual([uses.retire(1), uses.retire(9), uses.retire(9)], [[1], [3], []]);
  assert.deepEqual(
    [[1, 2, 3].map(uses.isUsable), uses.cooling],
    [
      [false, true, false],
      [1, 3],
    ],
  );
  const cold = uses.cooling.length;
  uses.use(2);
  assert.equal(uses.release(2), false);
  assert.deepEqual(uses.retire(9), []);
  uses.release(2);
  assert.deepEqual(uses.retire(9), [2]);
  uses.recycle(cold);
  assert.deepEqual([uses.cooling, uses.garbage], [[2], true]);
  uses.recycle(1);
  assert.equal(uses.garbage, false);
});
