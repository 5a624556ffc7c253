import assert from "node:assert/strict";
import { test } from "node:test";
import { createSelector, selects } from "./selector.js";

test("the text of a selector does not depend on how it is written", () => {
  const a = createSelector([
    { key: "tier", operator: "Exists" },
    { key: "app", operator: "In", values: ["b", "a", "b"] },
  ]);
  const b = createSelector([
    { key: "app", operator: "In", values: ["a", "b"] },
    { key: "tier", operator: "Exists" },
    { key: "tier", operator: "Exists" },
  ]);
  assert.deepEqual(a, b);
  assert.equal(a.text, "app In a,b; tier Exists");
});

test("NotIn and DoesNotExist hold for a key that is absent, In and Exists do not", () => {
  const none = new Map<string, string>();
  const holds = (operator: "In" | "NotIn") => selects(createSelector([{ key: "a", operator, values: ["x"] }]), none);
  const isThere = (operator: "Exists" | "DoesNotExist") => selects(createSelector([{ key: "a", operator }]), none);
  assert.deepEqual(
    [holds("In"), holds("NotIn"), isThere("Exists"), isThere("DoesNotExist")],
    [false, true, false, true],
  );
  assert.ok(selects(createSelector([]), none));
});
