import assert from "node:assert/strict";
import { test } from "node:test";
import { fastCheckOptions } from "@isthmus/testing";
import fc from "fast-check";
import { editSlots, sameMembers } from "./slot-edits.js";

const stores = (held: readonly number[], wanted: readonly number[]) => [...editSlots(held, wanted).stores];

test("a one-endpoint change takes at most one store: the last slot fills a gap, a new id fills a gap or is appended", () => {
  assert.deepEqual(stores([1, 2, 3, 4], [1, 3, 4]), [[1, 4]]);
  assert.deepEqual(stores([1, 2, 3, 4], [1, 2, 3]), []);
  assert.deepEqual(stores([1, 2, 3], [1, 2, 3, 4]), [[3, 4]]);
  assert.deepEqual(stores([1, 2, 3], [1, 3, 4]), [[1, 4]]);
  assert.deepEqual(stores([], [7]), [[0, 7]]);
  assert.deepEqual(stores([3, 2, 1], [1, 2, 3]), []);
});

test("of an id that an interrupted move left twice one remains", () => {
  const { ids, stores, removed, kept } = editSlots([1, 4, 3, 4], [1, 3, 4]);
  assert.deepEqual([ids, [...stores], removed, kept], [[1, 4, 3], [], [4], [1, 4, 3]]);
});

/** Ids with repeats, as in a table with weights or one whose writer died. */
const heldIds = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 30 });
const wantedIds = fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 30 });

test("after each store programs find every backend that stays, and only old and new ones", () => {
  fc.assert(
    fc.property(heldIds, wantedIds, (held, wanted) => {
      const { ids, stores, added, removed, kept } = editSlots(held, wanted);
      assert.deepEqual([...ids].sort(), [...wanted].sort());
      assert.deepEqual([...kept, ...removed].sort(), [...held].sort());
      assert.deepEqual([...kept, ...added].sort(), [...wanted].sort());
      const line = [...held];
      const allowed = new Set([...held, ...wanted]);
      for (const [slot, id] of stores) {
        line[slot] = id;
        // A program that loaded the previous word chooses from this number of slots.
        const seen = line.slice(0, held.length);
        for (const stay of kept) assert.ok(seen.includes(stay), `${stay} is missing`);
        for (const one of seen) assert.ok(allowed.has(one));
      }
      assert.deepEqual(line.slice(0, wanted.length), ids);
      for (const one of line.slice(0, held.length)) assert.ok(allowed.has(one));
    }),
    fastCheckOptions(500),
  );
});

test("members are compared in any order, with repeats counted", () => {
  assert.equal(sameMembers([1, 2, 3], [3, 1, 2]), true);
  assert.equal(sameMembers([1, 1, 2], [1, 2, 2]), false);
  assert.equal(sameMembers([1, 2], [1, 2, 3]), false);
});
