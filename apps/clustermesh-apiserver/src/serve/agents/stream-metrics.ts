/** Metrics of the streams to agents. */
import { LATENCY_BUCKETS_SECONDS, type Metrics } from "@isthmus/observe";

export type StreamMetrics = ReturnType<typeof createStreamMetrics>;

/** Registers them; `now` is read at every scrape. */
export function createStreamMetrics(metrics: Metrics, now: { agents(): number; snapshots(): number }) {
  metrics.gauge("mesh_stream_agents", "Agents connected", [], (gauge) => gauge.set(now.agents()));
  metrics.gauge("mesh_stream_snapshots_running", "First syncs running", [], (gauge) => gauge.set(now.snapshots()));
  return {
    propagation: metrics.histogram(
      "mesh_propagation_seconds",
      "Time from when the apiserver of origin saw a change to a stage",
      ["stage", "cluster"],
      LATENCY_BUCKETS_SECONDS,
    ),
    behind: metrics.counter(
      "mesh_stream_behind_total",
      "Sources withheld from agents that have applied a newer position",
      ["source"],
    ),
    away: metrics.counter("mesh_stream_goaway_total", "Streams ended by a GoAway, by reason", ["reason"]),
    ignored: metrics.counter("mesh_stream_ignored_total", "Positions of agents that were not kept, by reason", [
      "reason",
    ]),
    refused: metrics.counter(
      "mesh_stream_refused_total",
      "Streams ended because of what the agent sent, by gRPC code",
      ["code"],
    ),
    errors: metrics.counter(
      "mesh_stream_errors_total",
      "Streams ended by an internal error of this server, which its log names",
    ),
  };
}
