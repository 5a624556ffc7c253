import assert from "node:assert/strict";
import { test } from "node:test";
import { sameJson, sameJsonBesidesNumbers } from "./same-json.js";

test("the order of keys and absent fields make no difference; the order of a list and any value do", () => {
  assert.ok(sameJson([{ type: "Ready", status: "True" }], [{ status: "True", type: "Ready" }]));
  assert.ok(sameJson({ a: 1, b: undefined }, { a: 1 }));
  assert.ok(sameJson(undefined, undefined));
  assert.equal(sameJson([1, 2], [2, 1]), false);
  assert.equal(sameJson({ a: "1" }, { a: "2" }), false);
  assert.equal(sameJson(undefined, ""), false);
});

test("texts that differ only in numbers are the same besides numbers", () => {
  assert.ok(sameJsonBesidesNumbers({ text: "silent for 9 s", of: 1 }, { of: 22, text: "silent for 10 s" }));
  assert.equal(sameJsonBesidesNumbers({ text: "silent for 9 s" }, { text: "silent for 9 min" }), false);
});
