/** Gauges of each peer's records, bytes and nodes, computed at every scrape, and of the budget. */
import type { GaugeMetric, Metrics } from "@isthmus/observe";
import { PeerState } from "@isthmus/proto";
import { type Budget, nodesOf } from "./budget.js";
import type { Usage } from "./over-budget.js";
import type { RemoteSource } from "./remote-source.js";

/** `list` is called at every scrape; removed peers have no series. */
export function watchBudgets(metrics: Metrics, budget: Budget, list: () => readonly RemoteSource[]): void {
  const show = (part: keyof Usage) => (gauge: GaugeMetric) => {
    for (const source of list())
      if (source.status() !== PeerState.PEER_STATE_REMOVED)
        gauge.set(source.usage()[part], { cluster: source.cluster });
  };
  metrics.gauge("mesh_source_records", "Records kept of a peer", ["cluster"], show("records"));
  metrics.gauge("mesh_source_bytes", "Bytes of keys and values kept of a peer", ["cluster"], show("bytes"));
  metrics.gauge("mesh_source_nodes", "Nodes kept of a peer", ["cluster"], show("nodes"));
  metrics.gauge("mesh_source_records_limit", "Most records that are accepted from a peer").set(budget.records);
  const bytesLimit = metrics.gauge(
    "mesh_source_bytes_limit",
    "Most bytes of keys and values that are accepted from a peer",
  );
  bytesLimit.set(budget.bytes);
  metrics.gauge("mesh_source_nodes_limit", "Most nodes that are accepted from a peer").set(nodesOf(budget));
}
