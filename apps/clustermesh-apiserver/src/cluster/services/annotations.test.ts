import assert from "node:assert/strict";
import { test } from "node:test";
import { Affinity } from "@isthmus/proto";
import { DEFAULT_ANNOTATIONS, parseAnnotations, savedAnnotations } from "./annotations.js";

const GLOBAL = "service.cilium.io/global";
const SHARED = "service.cilium.io/shared";
const AFFINITY = "service.cilium.io/affinity";
const RESCUE = "mesh.isthmus.io/rescue-after";

test("without annotations the defaults apply: not global, shared, no affinity, rescue as the cluster says", () => {
  const { values, findings } = parseAnnotations({});
  assert.deepEqual(values, {
    ...{ global: false, shared: true, affinity: Affinity.AFFINITY_NONE },
    rescueAfter: undefined,
  });
  assert.deepEqual(findings, []);
});

test("every documented value is understood", () => {
  for (const [text, global] of [
    ["true", true],
    ["false", false],
  ] as const)
    assert.equal(parseAnnotations({ [GLOBAL]: text }).values.global, global);
  assert.equal(parseAnnotations({ [SHARED]: "false" }).values.shared, false);
  for (const [text, affinity] of [
    ["none", Affinity.AFFINITY_NONE],
    ["local", Affinity.AFFINITY_LOCAL],
    ["remote", Affinity.AFFINITY_REMOTE],
  ] as const)
    assert.equal(parseAnnotations({ [AFFINITY]: text }).values.affinity, affinity);
  for (const [text, rescueAfter] of [
    ["auto", "auto"],
    ["off", "off"],
    ["250ms", 250],
    ["2s", 2000],
  ] as const)
    assert.equal(parseAnnotations({ [RESCUE]: text }).values.rescueAfter, rescueAfter);
});

test("the older names mean the same; the newer name takes precedence", () => {
  assert.equal(parseAnnotations({ "io.cilium/global-service": "true" }).values.global, true);
  assert.equal(parseAnnotations({ "io.cilium/global-service": "true", [GLOBAL]: "false" }).values.global, false);
});

test("an invalid value leaves the last good one in force and is reported with the fix", () => {
  const good = parseAnnotations({ [GLOBAL]: "true", [AFFINITY]: "local" }).good;
  const { values, findings } = parseAnnotations({ [GLOBAL]: "True", [AFFINITY]: "local" }, good);
  assert.equal(values.global, true);
  assert.equal(values.affinity, Affinity.AFFINITY_LOCAL);
  assert.equal(
    findings[0]?.sentence,
    'Cannot use annotation "service.cilium.io/global" with value "True": the last good value "true" stays in force. Set it to one of "true", "false"',
  );
});

test("without a last good value the default is in force, and is not saved as a good value", () => {
  const first = parseAnnotations({ [AFFINITY]: "west", [GLOBAL]: "true" });
  assert.equal(first.values.affinity, Affinity.AFFINITY_NONE);
  assert.match(first.findings[0]?.sentence ?? "", /the default "none" stays in force/);
  assert.equal(first.good.affinity, undefined);
  const second = parseAnnotations({ [AFFINITY]: "west", [GLOBAL]: "yes" }, first.good);
  assert.equal(second.values.global, true, "another field of the same object keeps its own last good value");
});

test("a removed annotation means its default, not the last good value", () => {
  const { good } = parseAnnotations({ [GLOBAL]: "true" });
  assert.deepEqual(parseAnnotations({}, good).values, DEFAULT_ANNOTATIONS);
});

test("an invalid rescue-after leaves the last good one or the cluster's default in force, also after it was saved", () => {
  const FIX = 'Set it to "auto", "off", or a duration from "50ms" to "10s"';
  const [first] = parseAnnotations({ [RESCUE]: "20ms" }).findings;
  assert.equal(
    first?.sentence,
    `Cannot use annotation "${RESCUE}" with value "20ms": the cluster's default stays in force. ${FIX}`,
  );
  for (const [text, value] of [
    ["off", "off"],
    ["250ms", 250],
  ] as const) {
    const { good } = parseAnnotations({ [RESCUE]: text });
    const saved = savedAnnotations(JSON.parse(JSON.stringify(good)) as Record<string, unknown>);
    for (const last of [good, saved]) {
      const { values, findings } = parseAnnotations({ [RESCUE]: "never" }, last);
      assert.equal(values.rescueAfter, value);
      assert.match(findings[0]?.sentence ?? "", new RegExp(`the last good value "${text}" stays in force`));
    }
    assert.equal(parseAnnotations({}, good).values.rescueAfter, undefined, "a removed annotation");
  }
  for (const rescueAfter of [undefined, null, "", 7, "7ms", {}, -1])
    assert.equal(savedAnnotations({ rescueAfter }).rescueAfter, undefined);
});

test("empty, padded and very long values are invalid, and are cut in the sentence", () => {
  for (const value of ["", " true", "TRUE", "1", "x".repeat(10_000)]) {
    const [finding] = parseAnnotations({ [GLOBAL]: value }).findings;
    assert.ok(finding !== undefined && finding.sentence.length < 400, value.slice(0, 10));
  }
});
