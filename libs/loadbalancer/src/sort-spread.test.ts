import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { sortSpread } from "./sort-spread.js";

const END = 2 ** 52;

function checkSorted(numbers: readonly number[]): void {
  assert.deepEqual(sortSpread(Float64Array.from(numbers), END), Float64Array.from(numbers).sort());
}

test("numbers are sorted as by sort: few or many, equal ones, the first and the last of the range", () => {
  const number = fc.oneof(
    fc.integer({ min: 0, max: 2 ** 32 - 1 }).map((hash) => hash * 2 ** 20),
    fc.constant(END - 1),
  );
  fc.assert(fc.property(fc.array(number, { maxLength: 600 }), checkSorted));
});

test("numbers that were chosen to share a bucket are sorted in bounded time", () => {
  const many = 131_071;
  const started = performance.now();
  checkSorted(Array.from({ length: many }, (_, i) => many - i));
  checkSorted(Array.from({ length: many }, (_, i) => (i % 31) * 1e12 + ((i * 7919) % many)));
  assert.ok(performance.now() - started < 5000);
});
