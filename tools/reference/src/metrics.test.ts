import assert from "node:assert/strict";
import { test } from "node:test";
import { findMetrics, metricsText } from "./metrics.js";

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

test("a metric without help is a finding", () => {
  const { findings } = findMetrics(new Map([["apps/x/src/a.ts", 'metrics.gauge("mesh_a", " ")']]));
  assert.deepEqual(findings, ['apps/x/src/a.ts: metric "mesh_a" has no help']);
});

test("a row has name, type, labels and help; what would end a cell is escaped", () => {
  const text = metricsText(findMetrics(new Map([["apps/x/src/a.ts", SOURCE]])));
  assert.match(text, /^## x\n\n\| Metric .*\n\| `mesh_a_total` \| counter \| `reason` \| What is \\\| counted \|\n/s);
});
