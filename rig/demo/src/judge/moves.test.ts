import assert from "node:assert/strict";
import { test } from "node:test";
import { movedBetween } from "./moves.js";

const readings = [
  { at: 1000, moved: 7 },
  { at: 1250, moved: 7 },
  { at: 1500, moved: 10 },
  { at: 1750, moved: 30 },
];

test("moves are the growth of the counter between two times", () => {
  assert.equal(movedBetween(readings, 1000, 1400), 0);
  assert.equal(movedBetween(readings, 1250, 1500), 3);
  assert.equal(movedBetween(readings, 1499, 9000), 23);
});

test("what was counted before the first reading is not of this demo", () => {
  assert.equal(movedBetween(readings, 0, 1000), 0);
  assert.equal(movedBetween(readings, 0, 2000), 23);
  assert.equal(movedBetween([], 0, 2000), 0);
});
