import assert from "node:assert/strict";
import { test } from "node:test";
import { BROKEN_MESHES } from "./broken.js";
import { parseOptions } from "./options.js";

const parse = (...argv: readonly string[]) => parseOptions(argv, () => 7);

test("the defaults, and what is given", () => {
  const { seconds, seed, rate, lab, keep } = parse();
  assert.deepEqual({ seconds, seed, rate, lab, keep }, { seconds: 300, seed: 7, rate: 50, lab: "leaks", keep: false });
  const given = parse("--minutes", "0.5", "--seed", "12", "--rate", "20", "--lab", "x", "--keep");
  assert.deepEqual([given.seconds, given.seed, given.rate, given.lab, given.keep], [30, 12, 20, "x", true]);
});

test("meshes that are broken on purpose: none, one, or all", () => {
  assert.deepEqual(parse().broken, []);
  assert.deepEqual(parse("--broken", "audit").broken, ["audit"]);
  assert.deepEqual(parse("--broken", "all").broken, Object.keys(BROKEN_MESHES));
});

test("what cannot be used is named", () => {
  for (const [option, value] of [
    ["--minutes", "0"],
    ["--minutes", "long"],
    ["--seed", "-1"],
    ["--rate", "5"],
    ["--rate", "1.5"],
    ["--broken", "nothing"],
  ] as const)
    assert.throws(() => parse(`${option}=${value}`), new RegExp(`Cannot use "${value}" for ${option}: `));
});
