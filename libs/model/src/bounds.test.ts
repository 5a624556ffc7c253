import assert from "node:assert/strict";
import { test } from "node:test";
import { toSint32, toUint32, toUint64 } from "./bounds.js";

test("numbers are rounded and clamped to the range, and NaN becomes 0", () => {
  assert.deepEqual([0, 1.4, 2 ** 32, -1, Number.NaN, 1e300].map(toUint32), [0, 1, 2 ** 32 - 1, 0, 0, 2 ** 32 - 1]);
  assert.deepEqual([-1.4, 2 ** 31, -(2 ** 40), Number.NaN].map(toSint32), [-1, 2 ** 31 - 1, -(2 ** 31), 0]);
  assert.deepEqual([5.2, -1, 2 ** 63, Number.POSITIVE_INFINITY, Number.NaN].map(toUint64), [
    5n,
    0n,
    2n ** 63n - 1n,
    2n ** 63n - 1n,
    0n,
  ]);
});
