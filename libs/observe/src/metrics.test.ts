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

test("what is read at scrape has the values of then, and no series of earlier scrapes", async () => {
  const metrics = createMetrics();
  const values = new Map([["a", 2]]);
  metrics.counter("mesh_read_total", "Read", ["name"], (counter) => {
    for (const [name, value] of values) counter.add({ name }, value);
  });
  metrics.gauge("mesh_read", "Read", ["name"], (gauge) => {
    for (const [name, value] of values) gauge.set(value, { name });
  });
  const series = async () => (await metrics.text()).split("\n").filter((line) => !/^(#.*)?$/.test(line));
  for (let i = 0; i < 2; i++)
    assert.deepEqual(await series(), ['mesh_read_total{name="a"} 2', 'mesh_read{name="a"} 2']);
  values.delete("a");
  values.set("b", 1);
  assert.deepEqual(await series(), ['mesh_read_total{name="b"} 1', 'mesh_read{name="b"} 1']);
});

test('a name without the prefix "mesh_" is refused', () => {
  assert.throws(() => createMetrics().counter("requests_total", "Requests"), { code: "METRIC_NAME" });
});
