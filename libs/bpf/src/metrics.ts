/** The programs' counters, summed over the CPUs. */
import { Limit, MetricHelp } from "./gen/index.js";
import { type Fd, native } from "./native.js";

/** Maps each counter's name (`connect`, `no_backend`, …) to its value since the map was created. */
export function readMetrics(map: Fd): ReadonlyMap<string, number> {
  const totals = new Map<string, number>();
  for (const [index, { name }] of MetricHelp) {
    if (index === 0 || index >= Limit.Metrics) continue;
    totals.set(name, readMetric(map, index));
  }
  return totals;
}

/** One of them, by `Metric`. */
export function readMetric(map: Fd, metric: number): number {
  const values = native().mapLookup(map, new Uint8Array(Uint32Array.of(metric).buffer));
  const perCpu = values === undefined ? [] : [...new BigUint64Array(values.buffer)];
  return Number(perCpu.reduce((sum, value) => sum + value, 0n));
}
