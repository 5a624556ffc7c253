import assert from "node:assert/strict";
import { test } from "node:test";
import { exploring } from "@isthmus/testing";
import fc from "fast-check";
import { editSlots, sameMembers } from "./slot-edits.js";

const stores = (held: readonly number[], wanted: readonly number[]) => [...editSlots(held, wanted).stores];

test("one endpoint is one store: the last slot moves into the gap, a new one goes behind the last or into the gap", () => {
  assert.deepEqual(stores([1, 2, 3, 4], [1, 3, 4]), [[1, 4]]);
  assert.deepEqual(stores([1, 2, 3, 4], [1, 2, 3]), []);
  assert.deepEqual(stores([1, 2, 3], [1, 2, 3, 4]), [[3, 4]]);
  assert.deepEqual(stores([1, 2, 3], [1, 3, 4]), [[1, 4]]);
  assert.deepEqual(stores([], [7]), [[0, 7]]);
  assert.deepEqual(stores([3, 2, 1], [1, 2, 3]), []);
});

test("an id that an interrupted move left twice stays once", () => {
  const { ids, stores, removed, kept } = editSlots([1, 4, 3, 4], [1, 3, 4]);
  assert.deepEqual([ids, [...stores], removed, kept], [[1, 4, 3], [], [4], [1, 4, 3]]);
});

/** Ids with repeats, as in a table with weights or one whose writer died. */
const heldIds = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 30 });
const wantedIds = fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 30 });

test("after each store every program finds each backend that stays, and none but old and new ones", () => {
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
        // A program that loaded the previous word chooses from so many slots.
        const seen = line.slice(0, held.length);
        for (const stay of kept) assert.ok(seen.includes(stay), `${stay} is missing`);
        for (const one of seen) assert.ok(allowed.has(one));
      }
      assert.deepEqual(line.slice(0, wanted.length), ids);
      for (const one of line.slice(0, held.length)) assert.ok(allowed.has(one));
    }),
    exploring(500),
  );
});

test("members are the same in any order, repeats counted", () => {
  assert.equal(sameMembers([1, 2, 3], [3, 1, 2]), true);
  assert.equal(sameMembers([1, 1, 2], [1, 2, 2]), false);
  assert.equal(sameMembers([1, 2], [1, 2, 3]), false);
});
