import assert from "node:assert/strict";
import { test } from "node:test";
import { fastCheckOptions } from "@isthmus/testing";
import fc from "fast-check";
import { makeBackend } from "../testing/testbed.js";
import { followSlots } from "./follow-slots.js";

const BACKENDS = Array.from({ length: 40 }, (_, i) => makeBackend(`10.1.0.${i}`));
const some = fc.uniqueArray(fc.nat(39), { maxLength: 40 }).map((list) => list.sort((a, b) => a - b));

function find(before: readonly number[], now: readonly number[]): (number | undefined)[] {
  const slots = before.map((i) => BACKENDS[i] ?? makeBackend("::"));
  const table = { line: 0, lines: 3, ids: before.map((i) => 100 + i) };
  const idOf = followSlots({ slots, table });
  return now.map((i, slot) => idOf(BACKENDS[i] ?? makeBackend("::"), slot));
}

test("the id of a backend is right or undefined, after any additions and removals", () => {
  fc.assert(
    fc.property(some, some, (before, now) => {
      for (const [slot, id] of find(before, now).entries())
        if (id !== undefined) assert.equal(id, 100 + (now[slot] ?? 0));
    }),
    fastCheckOptions(300),
  );
});

test("all unchanged backends are found after one was removed, added or replaced", () => {
  const all = Array.from({ length: 40 }, (_, i) => i);
  for (const [before, now, unknown] of [
    [all, all.toSpliced(7, 1), 0],
    [all.toSpliced(7, 1), all, 1],
    [all.toSpliced(7, 1), all.toSpliced(30, 1), 1],
  ] as const)
    assert.equal(find(before, now).filter((id) => id === undefined).length, unknown);
});
