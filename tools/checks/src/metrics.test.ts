import assert from "node:assert/strict";
import { test } from "node:test";
import { findMetrics, withMetrics } from "./metrics.js";
import { runMetrics } from "./run-metrics.js";

const SOURCE = `
  metrics.counter("mesh_a_total", "What is | counted", ["reason"]);
  modules.metrics?.histogram(
    "mesh_b_seconds",
    \`How long: \${X.join(", ")}\`,
    ["stage", "cluster"],
    BUCKETS,
  );
  metrics.gauge("mesh_c", "Now", [], (gauge) => gauge.set(1));
  metrics
    .gauge("mesh_d", "Most")
    .set(1);
`;

test("metrics are found with their help and labels, by program, also over several lines", () => {
  const { programs, findings } = findMetrics(new Map([["apps/x/src/a.ts", SOURCE]]));
  assert.deepEqual(findings, []);
  assert.deepEqual(programs.get("x"), [
    { name: "mesh_a_total", type: "counter", help: "What is | counted", labels: ["reason"] },
    { name: "mesh_b_seconds", type: "histogram", help: "How long: …", labels: ["stage", "cluster"] },
    { name: "mesh_c", type: "gauge", help: "Now", labels: [] },
    { name: "mesh_d", type: "gauge", help: "Most", labels: [] },
  ]);
});

test("a metric that cannot be read from its source is a finding", () => {
  const { findings } = findMetrics(new Map([["apps/x/src/a.ts", "metrics.gauge(name, help)"]]));
  assert.deepEqual(findings, ["apps/x/src/a.ts: a gauge whose name, help and labels are not literals"]);
});

test("the page keeps hand-written text; one without the markers is refused", () => {
  const begin = "<!-- metrics: begin, made by `node tools/checks/dist/main.js docs --write` -->";
  const found = findMetrics(new Map([["apps/x/src/a.ts", SOURCE]]));
  const page = withMetrics(`# M\n\n${begin}\nold\n<!-- metrics: end -->\nafter\n`, found) ?? "";
  assert.match(
    page,
    /^# M\n.*## x\n.*\| `mesh_a_total` \| counter \| `reason` \| What is \\\| counted \|\n.*after\n$/s,
  );
  assert.doesNotMatch(page, /old/);
  assert.equal(withMetrics(page, found), page);
  assert.equal(withMetrics("# M", found), undefined);
});

test("docs/reference/metrics.md is what the programs register", () => {
  assert.deepEqual(runMetrics(false), []);
});
