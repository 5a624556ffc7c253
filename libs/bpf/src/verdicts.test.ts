/** Verdicts and drop reasons: their texts, and the counter of each reason. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DropReason, DropReasonHelp, MetricHelp, Verdict, VerdictHelp } from "./index.js";

test("every verdict and drop reason has a name and a text of its own", () => {
  for (const [values, help] of [
    [Verdict, VerdictHelp],
    [DropReason, DropReasonHelp],
  ] as const) {
    assert.deepEqual([...help.keys()], Object.values(values));
    const texts = [...help.values()].flatMap(({ name, text }) => [name, text]);
    assert.equal(new Set(texts).size, 2 * help.size);
    assert.ok(!texts.some((text) => text === "" || /^(VERDICT|DROP)_/.test(text)), texts.join());
  }
});

test("every drop reason is counted by a metric of its name", () => {
  const metrics = new Set([...MetricHelp.values()].map(({ name }) => name));
  for (const [reason, { name }] of DropReasonHelp) if (reason !== DropReason.None) assert.ok(metrics.has(name), name);
});
