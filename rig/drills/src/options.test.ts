import assert from "node:assert/strict";
import { test } from "node:test";
import { parseOptions } from "./options.js";

test("by default every fault is driven twenty times", () => {
  const { runs, faults, json, lab } = parseOptions([]);
  assert.deepEqual([runs, faults.length, json, lab], [20, 11, false, "drills"]);
});

test("runs, faults and output can be chosen", () => {
  const { runs, faults, json } = parseOptions(["--runs", "3", "--faults", "kill,all-dead", "-o", "json"]);
  assert.deepEqual([runs, faults, json], [3, ["kill", "all-dead"], true]);
});

test("what is not possible is refused with the choices", () => {
  assert.throws(() => parseOptions(["--faults", "fire"]), /No fault "fire": choose from kill, kill-none, /);
  assert.throws(() => parseOptions(["--runs", "0"]), /from 1 to 1000/);
  assert.throws(() => parseOptions(["--clients", "--faults", "kill"]), /--faults or --clients/);
  assert.throws(() => parseOptions(["-o", "yaml"]), /-o has only json/);
});
