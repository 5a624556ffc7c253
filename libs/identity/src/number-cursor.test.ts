import assert from "node:assert/strict";
import { test } from "node:test";
import { parseClusterId } from "@isthmus/model";
import { MAX_LOCAL, MIN_LOCAL } from "./number.js";
import { reserveNumbers } from "./number-cursor.js";

const reserve = (cursor: number, highest: number, count: number) =>
  reserveNumbers(parseClusterId(1), { cursor, highest, count });

test("numbers begin at the first local one, and go on after the cursor and after every object", () => {
  assert.deepEqual(reserve(0, 0, 16), { first: MIN_LOCAL, last: MIN_LOCAL + 15 });
  assert.deepEqual(reserve(300, 0, 1), { first: 301, last: 301 });
  assert.deepEqual(reserve(300, 500, 2), { first: 501, last: 502 });
  assert.deepEqual(reserve(0, 300, 1), { first: 301, last: 301 }, "the cursor was lost with the MeshCluster");
});

test("the last numbers are given, and then the error says so", () => {
  assert.deepEqual(reserve(MAX_LOCAL - 3, 0, 16), { first: MAX_LOCAL - 2, last: MAX_LOCAL });
  for (const [cursor, highest] of [
    [MAX_LOCAL, 0],
    [0, MAX_LOCAL],
    [Number.MAX_SAFE_INTEGER - 1, 0],
  ] as const)
    assert.throws(() => reserve(cursor, highest, 1), { code: "IDENTITIES_EXHAUSTED" });
});
