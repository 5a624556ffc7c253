import assert from "node:assert/strict";
import { test } from "node:test";
import { mergeConditions } from "./conditions.js";

const ready = (status: "True" | "False", message = "") => ({ type: "Ready", status, reason: "Because", message });

test("lastTransitionTime changes with the status, not with the message", () => {
  const first = mergeConditions(undefined, [ready("False")], 1, new Date("2026-11-20T10:00:00Z"));
  const second = mergeConditions(first, [ready("False", "more")], 2, new Date("2026-11-20T11:00:00Z"));
  const third = mergeConditions(second, [ready("True")], 2, new Date("2026-11-20T12:00:00Z"));
  assert.deepEqual(
    [first, second, third].map(([condition]) => condition?.lastTransitionTime),
    ["2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z", "2026-11-20T12:00:00Z"],
  );
  assert.equal(second[0]?.observedGeneration, 2);
});

test("a message with hostile text in it is printable and fits the API", () => {
  const hostile = `\u001b[2J\u202e${"\u9375".repeat(1_000_000)}`;
  const [condition] = mergeConditions(undefined, [ready("False", hostile)], 1, new Date());
  assert.match(condition?.message ?? "", /^\\u\{1b\}\[2J\\u\{202e\}\u9375/);
  assert.ok(Buffer.byteLength(condition?.message ?? "") <= 32_768);
  assert.deepEqual(mergeConditions([condition as never], [ready("False", hostile)], 1, new Date()), [condition]);
});
