import assert from "node:assert/strict";
import { test } from "node:test";
import { BROKEN_MESHES } from "./broken.js";
import { checkText, findingsOf, violationsOf } from "./check.js";
import { createTally } from "./report.js";

test("each of what is expected must be found, and nothing else", () => {
  const { counts, ...tally } = createTally();
  counts.set("connect", new Map([["leak", 3]]));
  counts.set("ask", new Map([["denied", 9]]));
  counts.set("hold", new Map([["fault", 1]]));
  const found = violationsOf({ counts, ...tally });
  assert.deepEqual(Object.fromEntries(found), { "leak: connect": 3, "fault: hold": 1 });
  assert.deepEqual(findingsOf(["leak: connect", "fault: hold"], found), []);
  const findings = findingsOf(["leak: connect", "leak: ask"], found);
  assert.deepEqual(findings, ["Not found: leak: ask", "Found although it is none: fault: hold"]);
  assert.match(checkText([{ name: "x", seconds: 2, found, findings }]), /^MISSED x .*3 × leak: connect.*\n +Not found/);
});

test("of the broken meshes some let through what no state allows, some lose what all allow, some concern Services alone", () => {
  const verdicts = Object.values(BROKEN_MESHES).map(
    ({ expected }) => new Set(expected.map((one) => one.split(":")[0])),
  );
  for (const wanted of ["leak", "fault"])
    assert.ok(
      verdicts.some((of) => of.has(wanted) && of.size === 1),
      wanted,
    );
  const areServices = ({ expected }: { readonly expected: readonly string[] }) =>
    expected.every((one) => one.includes("to a Service"));
  assert.ok(Object.values(BROKEN_MESHES).filter(areServices).length >= 2);
});
