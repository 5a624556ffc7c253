import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createDeltaTracker } from "./delta-tracker.js";

test("equal entries are not pending", () => {
  const tracker = createDeltaTracker();
  tracker.setActual("a", "1");
  tracker.setActual("gone", "1");
  tracker.setDesired("a", "1");
  tracker.setDesired("new", "1");
  assert.deepEqual([...tracker.toInsert], ["new"]);
  assert.deepEqual([...tracker.toRemove], ["gone"]);
});

test("a changed value is pending for removal and insertion until both are done", () => {
  const tracker = createDeltaTracker();
  tracker.setActual("a", "1");
  tracker.setDesired("a", "2");
  assert.deepEqual([[...tracker.toInsert], [...tracker.toRemove]], [["a"], ["a"]]);
  tracker.deleteActual("a");
  tracker.setActual("a", "2");
  assert.deepEqual([[...tracker.toInsert], [...tracker.toRemove]], [[], []]);
});

test("after any sequence of calls the pending sets equal the difference", () => {
  const call = fc.tuple(
    fc.constantFrom("setDesired", "deleteDesired", "setActual", "deleteActual"),
    fc.constantFrom("a", "b", "c"),
    fc.constantFrom("1", "2"),
  );
  fc.assert(
    fc.property(fc.array(call), (calls) => {
      const tracker = createDeltaTracker();
      for (const [name, key, value] of calls) {
        if (name === "setDesired" || name === "setActual") tracker[name](key, value);
        else if (name === "deleteDesired" || name === "deleteActual") tracker[name](key);
      }
      const { desired, actual } = tracker;
      const insert = [...desired.keys()].filter((key) => desired.get(key) !== actual.get(key));
      const remove = [...actual.keys()].filter((key) => desired.get(key) !== actual.get(key));
      assert.deepEqual([...tracker.toInsert].sort(), insert.sort());
      assert.deepEqual([...tracker.absent].sort(), insert.filter((key) => !actual.has(key)).sort());
      assert.deepEqual([...tracker.toRemove].sort(), remove.sort());
    }),
  );
});
