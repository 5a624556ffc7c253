/** Metrics of the streams to agents. */
import { LATENCY_BUCKETS_SECONDS, type Metrics } from "@isthmus/observe";

export type StreamMetrics = ReturnType<typeof createStreamMetrics>;

export function createStreamMetrics(metrics: Metrics, now: { agents(): number; snapshots(): number }) {
  metrics.gauge("mesh_stream_agents", "Agents connected", [], (gauge) => gauge.set(now.agents()));
  metrics.gauge("mesh_stream_snapshots_running", "First syncs running", [], (gauge) => gauge.set(now.snapshots()));
  return {
    propagation: metrics.histogram(
      "mesh_propagation_seconds",
      "How long news took from the apiserver of origin to a stage",
      ["stage", "cluster"],
      LATENCY_BUCKETS_SECONDS,
    ),
    behind: metrics.counter("mesh_stream_behind_total", "Sources withheld from agents that knew more", ["source"]),
    away: metrics.counter("mesh_stream_goaway_total", "Agents sent away", ["reason"]),
    ignored: metrics.counter("mesh_stream_ignored_total", "Positions of agents that were not kept", ["reason"]),
    refused: metrics.counter("mesh_stream_refused_total", "Streams ended for what the agent sent", ["code"]),
    errors: metrics.counter("mesh_stream_errors_total", "Streams ended by a mistake of this server: look into its log"),
  };
}
