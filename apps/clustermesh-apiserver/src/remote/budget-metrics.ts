/** Gauges of each peer's records and bytes, computed at every scrape, and of the budget. */
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
  metrics.gauge("mesh_source_records_limit", "Most records that are accepted from a peer").set(budget.records);
  metrics
    .gauge("mesh_source_bytes_limit", "Most bytes of keys and values that are accepted from a peer")
    .set(budget.bytes);
}
