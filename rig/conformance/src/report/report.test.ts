import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { FOCUSES } from "../focuses.js";
import { shortName } from "../suite/spec-names.js";
import type { SpecRun } from "../suite/spec-run.js";
import { KNOWN_FAILURES, readKnownFailures } from "./known-failures.js";
import { withSection } from "./page.js";
import { makeReport } from "./report.js";
import { reportJson, reportText } from "./text.js";

const A = "[sig-network] Netpol should allow [Feature:NetworkPolicy]";
const B = "[sig-network] Netpol should deny [Feature:NetworkPolicy]";
const passed = (name: string): SpecRun => ({ name, passed: true, seconds: 20, reason: "" });
const failed = (name: string): SpecRun => ({ name, passed: false, seconds: 130, reason: "Had 16 wrong | results" });

/** A report of A and B. */
function report(runs: readonly SpecRun[], known: Readonly<Record<string, string>> = {}, problem = "") {
  const results = { focus: "NetworkPolicy", version: "v1.34.4", specs: [A, B], suite: [A, B, "other"], runs, problem };
  return makeReport(results, new Map(Object.entries(known)));
}

test("it passes when all specs pass", () => {
  const { findings, missing } = report([passed(A), passed(B)]);
  assert.deepEqual([findings, missing, report([passed(A), passed(B)]).passed], [[], [], true]);
});

test("a failure without a written reason does not pass, and with one does", () => {
  const unknown = report([passed(A), failed(B)]);
  assert.equal(unknown.passed, false);
  assert.match(reportText(unknown), /^failed +130 s +Netpol should deny +Had 16 wrong \| results$/m);
  const known = report([passed(A), failed(B)], { [B]: "nothing is enforced" });
  assert.equal(known.passed, true);
  assert.match(
    reportText(known),
    /^known +130 s +Netpol should deny +nothing is enforced \(Had 16 wrong \| results\)$/m,
  );
  assert.match(reportText(known), /^1 passed, 1 failed \(1 known\)\n$/m);
});

test("a list of known failures that is out of date does not pass", () => {
  const stale = report([passed(A), passed(B)], { [B]: "x" });
  assert.equal(stale.passed, false);
  assert.match(stale.findings.join(), /known-failures.json says that this spec fails: .*should deny/);
  assert.match(report([passed(A), passed(B)], { C: "x" }).findings.join(), /names no spec: C/);
  assert.equal(report([passed(A), passed(B)], { other: "in another focus" }).passed, true);
});

test("a run that ended early does not pass, and says what did not run", () => {
  const early = report([passed(A)], {}, "interrupted");
  assert.equal(early.passed, false);
  assert.deepEqual(early.missing, [B]);
  assert.match(
    reportText(early),
    /^not run +Netpol should deny\nNot passed: interrupted\n1 passed, 0 failed, 1 not run\n$/m,
  );
  assert.equal(JSON.parse(reportJson(early, { cpus: 2 })).machine.cpus, 2);
});

test("the page gets the section of its focus, and keeps the rest", () => {
  const [begin, end] = ["<!-- conformance NetworkPolicy: begin -->", "<!-- conformance NetworkPolicy: end -->"];
  const page = `# Conformance\n\n${begin}\nold\n${end}\n\nafter\n`;
  const on = { kernel: "6.18", date: new Date("2026-11-30T12:00:00Z") };
  const written = withSection(page, report([failed(B), passed(A)], { [B]: "nothing <is> enforced" }), on);
  assert.equal(
    written,
    `# Conformance

${begin}
Kubernetes v1.34.4, Linux 6.18, 30 November 2026: 1 passed, 1 failed (1 known).

| Spec | Result |
|---|---|
| Netpol should allow | passed |
| Netpol should deny | failed: nothing &lt;is> enforced |
${end}

after
`,
  );
  assert.match(withSection(written, report([passed(A), failed(B)]), on), /\| failed: Had 16 wrong \\\| results \|/);
  assert.throws(() => withSection("# Conformance\n", report([]), on), /Cannot find/);
});

test("the committed page has a section for each focus", async () => {
  const page = await readFile(new URL("../../../../docs/conformance.md", import.meta.url), "utf8");
  const on = { kernel: "6.18", date: new Date() };
  for (const { name } of FOCUSES)
    assert.match(withSection(page, { ...report([passed(A), passed(B)]), focus: name }, on), /: 2 passed, 0 failed\.$/m);
});

test("the committed list of known failures can be read", async () => {
  for (const [name] of await readKnownFailures(KNOWN_FAILURES)) assert.notEqual(shortName(name), name);
});
