/**
 * Metrics with units: names begin with `mesh_` and end in their unit (`_seconds`, `_bytes`, `_total`, …).
 *
 * One registry per process, made in wire.ts; requesting a name twice returns the same metric.
 */
import { MeshError } from "@isthmus/model";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

export type Labels = Readonly<Record<string, string>>;

export interface CounterMetric {
  /** Adds `value`, 1 unless given. Labels must be those that the metric was made with. */
  add(labels?: Labels, value?: number): void;
}
export interface GaugeMetric {
  /** Replaces the value of the series with these labels. */
  set(value: number, labels?: Labels): void;
}
export interface HistogramMetric {
  /** Counts one value, in the unit of the name. */
  observe(value: number, labels?: Labels): void;
}

export interface Metrics {
  /**
   * Throws `METRIC_NAME` for a name without `mesh_`, as the next two do. `help` is the row in
   * docs/reference/metrics.md. `read` is called at every scrape, for values that are kept elsewhere: the metric has no
   * series then but those that it makes.
   */
  counter(
    name: string,
    help: string,
    labels?: readonly string[],
    read?: (counter: CounterMetric) => void,
  ): CounterMetric;
  /** `read` as of a counter. */
  gauge(name: string, help: string, labels?: readonly string[], read?: (gauge: GaugeMetric) => void): GaugeMetric;
  /** `buckets`: upper bounds in the unit of the name, ascending; more than the last one is counted too. */
  histogram(name: string, help: string, labels: readonly string[], buckets: readonly number[]): HistogramMetric;
  /** The Prometheus text format. */
  text(): Promise<string>;
  /** Of what `text` returns, for the HTTP header. */
  readonly contentType: string;
}

/** Histogram bounds in seconds for the delay of a change: from a millisecond to a minute. */
export const LATENCY_BUCKETS_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60,
] as const;

export interface MetricsOptions {
  /** Adds CPU, memory and event loop of this process. */
  readonly process?: boolean;
}

/** An empty registry; no two in one process share anything. */
export function createMetrics(options: MetricsOptions = {}): Metrics {
  const registry = new Registry();
  if (options.process === true) collectDefaultMetrics({ register: registry });
  const created = new Map<string, unknown>();
  const once = <T>(name: string, make: () => T): T => {
    if (!/^mesh_[a-z0-9_]+$/.test(name))
      throw new MeshError(
        { code: "METRIC_NAME", name },
        `Cannot use metric name "${name}": it must begin with "mesh_"`,
      );
    if (!created.has(name)) created.set(name, make());
    return created.get(name) as T;
  };
  const registers = [registry];
  return {
    counter: (name, help, labels = [], read) =>
      once(name, () => {
        const inner = new Counter({ name, help, labelNames: [...labels], registers, ...readAnew(() => metric, read) });
        const metric = counter(inner);
        return metric;
      }),
    gauge: (name, help, labels = [], read) =>
      once(name, () => {
        const inner = new Gauge({ name, help, labelNames: [...labels], registers, ...readAnew(() => metric, read) });
        const metric = gauge(inner);
        return metric;
      }),
    histogram: (name, help, labels, buckets) =>
      once(name, () =>
        histogram(new Histogram({ name, help, labelNames: [...labels], buckets: [...buckets], registers })),
      ),
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

/** Empties a metric at every scrape, and reads it anew. */
function readAnew<M>(metric: () => M, read: ((metric: M) => void) | undefined) {
  if (read === undefined) return {};
  return {
    collect(this: { reset(): void }) {
      this.reset();
      read(metric());
    },
  };
}

function counter(inner: Counter): CounterMetric {
  return { add: (labels = {}, value = 1) => inner.inc({ ...labels }, value) };
}

function gauge(inner: Gauge): GaugeMetric {
  return { set: (value, labels = {}) => inner.set({ ...labels }, value) };
}

function histogram(inner: Histogram): HistogramMetric {
  return { observe: (value, labels = {}) => inner.observe({ ...labels }, value) };
}
