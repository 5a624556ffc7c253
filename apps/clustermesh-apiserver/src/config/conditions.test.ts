import assert from "node:assert/strict";
import { test } from "node:test";
import { mergeConditions } from "./conditions.js";

const ready = (status: "True" | "False", message = "") => ({ type: "Ready", status, reason: "Because", message });

test("the time is that of the last change of status, not of the words", () => {
  const first = mergeConditions(undefined, [ready("False")], 1, new Date("2026-11-20T10:00:00Z"));
  const second = mergeConditions(first, [ready("False", "more")], 2, new Date("2026-11-20T11:00:00Z"));
  const third = mergeConditions(second, [ready("True")], 2, new Date("2026-11-20T12:00:00Z"));
  assert.deepEqual(
    [first, second, third].map(([condition]) => condition?.lastTransitionTime),
    ["2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z", "2026-11-20T12:00:00Z"],
  );
  assert.equal(second[0]?.observedGeneration, 2);
});
