import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetrics } from "./metrics.js";

test("counters, gauges read at scrape and histograms appear in the text", async () => {
  const metrics = createMetrics();
  metrics.counter("mesh_refused_total", "Records refused", ["reason"]).add({ reason: "too-large" }, 2);
  metrics.gauge("mesh_agents", "Connected agents", [], (gauge) => gauge.set(3));
  metrics.histogram("mesh_lag_seconds", "Lag", [], [0.1, 1]).observe(0.5);
  const text = await metrics.text();
  assert.match(text, /mesh_refused_total\{reason="too-large"\} 2/);
  assert.match(text, /mesh_agents 3/);
  assert.match(text, /mesh_lag_seconds_bucket\{le="1"\} 1/);
});

test("requesting a name twice returns the same metric", async () => {
  const metrics = createMetrics();
  metrics.counter("mesh_twice_total", "Twice").add();
  metrics.counter("mesh_twice_total", "Twice").add();
  assert.match(await metrics.text(), /mesh_twice_total 2/);
});

test("a counter that is read at scrape has what was read then, and no series of earlier scrapes", async () => {
  const metrics = createMetrics();
  const counts = new Map([["a", 2]]);
  metrics.counter("mesh_read_total", "Read", ["name"], (counter) => {
    for (const [name, count] of counts) counter.add({ name }, count);
  });
  for (let i = 0; i < 2; i++) assert.match(await metrics.text(), /^mesh_read_total\{name="a"\} 2$/m);
  counts.delete("a");
  counts.set("b", 1);
  const text = await metrics.text();
  assert.match(text, /^mesh_read_total\{name="b"\} 1$/m);
  assert.doesNotMatch(text, /name="a"/);
});

test('a name without the prefix "mesh_" is refused', () => {
  assert.throws(() => createMetrics().counter("requests_total", "Requests"), { code: "METRIC_NAME" });
});
