import assert from "node:assert/strict";
import { test } from "node:test";
import { parseOptions } from "./options.js";

test("by default all specs of NetworkPolicy run in a lab of their own, and no page is written", () => {
  const { focus, only, write, keep, lab, out } = parseOptions([]);
  assert.deepEqual(
    [focus.name, only, write, keep, lab, out],
    ["NetworkPolicy", undefined, false, false, "conformance", "out"],
  );
});

test("a pattern chooses among them", () => {
  const { only } = parseOptions(["--only", "default-deny", "--keep", "--lab", "x"]);
  assert.ok(only?.test("should support a 'default-deny-all' policy"));
});

test("what is not possible is refused with the choices", () => {
  assert.throws(() => parseOptions(["--focus", "Storage"]), /No focus "Storage": choose from NetworkPolicy/);
  assert.throws(() => parseOptions(["--only", "("]), /Cannot use "\(" for --only/);
  assert.throws(() => parseOptions(["--only", "deny", "--write"]), /--write or --only/);
});
