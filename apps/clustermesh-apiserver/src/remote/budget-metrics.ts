/** Gauges of what each peer has of its budget, and the budget: read at every scrape. */
import type { GaugeMetric, Metrics } from "@isthmus/observe";
import { SourceStatus } from "@isthmus/proto";
import type { Budget } from "./budget.js";
import type { RemoteSource } from "./remote-source.js";

export function watchBudgets(metrics: Metrics, budget: Budget, list: () => readonly RemoteSource[]): void {
  const show = (part: keyof Budget) => (gauge: GaugeMetric) => {
    for (const source of list()) {
      const { cluster } = source;
      if (source.status() === SourceStatus.SOURCE_STATUS_REMOVED) gauge.remove({ cluster });
      else gauge.set(source.usage()[part], { cluster });
    }
  };
  metrics.gauge("mesh_source_records", "Records held of a peer", ["cluster"], show("records"));
  metrics.gauge("mesh_source_bytes", "Bytes of keys and values held of a peer", ["cluster"], show("bytes"));
  metrics.gauge("mesh_source_records_limit", "Records that are taken of a peer").set(budget.records);
  metrics.gauge("mesh_source_bytes_limit", "Bytes of keys and values that are taken of a peer").set(budget.bytes);
}
