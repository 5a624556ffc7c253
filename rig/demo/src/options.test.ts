import assert from "node:assert/strict";
import { test } from "node:test";
import { parseOptions } from "./options.js";

test("without arguments, all faults run and the lab is taken down", () => {
  const options = parseOptions([]);
  assert.equal(options.faults.length, 10);
  assert.equal(options.keep, false);
  assert.equal(options.lab, "demo");
});

test("options select faults and keep the lab", () => {
  const options = parseOptions(["--faults", "kill,agent", "--keep"]);
  assert.deepEqual(options.faults, ["kill", "agent"]);
  assert.equal(options.keep, true);
});

test("kind clusters are used as they are", () => {
  const options = parseOptions(["--kind"]);
  assert.equal(options.kind, true);
  assert.equal(options.faults.length, 7);
  assert.throws(() => parseOptions(["--kind", "--faults", "dark"]), /No fault "dark": choose from scale-down/);
  assert.throws(() => parseOptions(["--kind", "--keep"]), /stay up until down\.sh/);
  assert.throws(() => parseOptions(["--kind", "--lab", "demo"]), /stay up until down\.sh/);
});

test("invalid arguments are refused with a sentence", () => {
  assert.throws(() => parseOptions(["--faults", "fire"]), /No fault "fire"/);
  assert.throws(() => parseOptions(["--faults", ","]), /at least one/);
  assert.throws(() => parseOptions(["--fast"]));
});
