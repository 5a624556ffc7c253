import assert from "node:assert/strict";
import { test } from "node:test";
import { withFiles } from "@isthmus/checks/testing";
import { findMetrics, metricsText } from "./metrics.js";

const HEAD = `
interface Metrics {
  counter(name: string, help: string, labels?: readonly string[]): void;
  gauge(name: string, help: string, labels?: readonly string[], read?: (gauge: { set(n: number): void }) => void): { set(n: number): void };
  histogram(name: string, help: string, labels: readonly string[], buckets: readonly number[]): void;
}
declare const metrics: Metrics;
declare const modules: { readonly metrics?: Metrics };
declare const X: readonly string[];
declare const name: string;
`;
const SOURCE = `
  metrics.counter("mesh_a_total", "What is | counted", ["reason"]);
  modules.metrics?.histogram(
    "mesh_b_seconds",
    \`How long: \${X.join(", ")}\`,
    ["stage", "cluster"],
    [1],
  );
  const registry = metrics;
  registry.gauge("mesh_c", "Now", [], (gauge) => gauge.set(1));
  metrics
    .gauge("mesh_d", "Most")
    .set(1);
  const other = { gauge: (name: string) => name };
  other.gauge("mesh_e");
`;
const find = (source: string) => withFiles({ "apps/x/src/a.ts": HEAD + source }, findMetrics);

test("metrics are found with their help and labels, by program, whatever holds the registry", () => {
  const { programs, findings } = find(SOURCE);
  assert.deepEqual(findings, []);
  assert.deepEqual(programs.get("x"), [
    { name: "mesh_a_total", type: "counter", help: "What is | counted", labels: ["reason"] },
    { name: "mesh_b_seconds", type: "histogram", help: "How long: …", labels: ["stage", "cluster"] },
    { name: "mesh_c", type: "gauge", help: "Now", labels: [] },
    { name: "mesh_d", type: "gauge", help: "Most", labels: [] },
  ]);
});

test("a metric that cannot be read from its source is a finding", () => {
  const finding = (type: string) => [`apps/x/src/a.ts:11: a ${type} whose name, help and labels are not literals`];
  assert.deepEqual(find('metrics.gauge(name, "Now");').findings, finding("gauge"));
  assert.deepEqual(find('metrics.gauge("mesh_a", name);').findings, finding("gauge"));
  assert.deepEqual(find('metrics.counter("mesh_a", "Now", X);').findings, finding("counter"));
});

test("a metric without help is a finding", () => {
  assert.deepEqual(find('metrics.gauge("mesh_a", " ");').findings, ['apps/x/src/a.ts:11: metric "mesh_a" has no help']);
});

test("a row has name, type, labels and help; what would end a cell is escaped", () => {
  const text = metricsText(find(SOURCE));
  assert.match(text, /^## x\n\n\| Metric .*\n\| `mesh_a_total` \| counter \| `reason` \| What is \\\| counted \|\n/s);
});
