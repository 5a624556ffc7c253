/** The numbers of this agent, named in one place. */
import { LATENCY_BUCKETS_SECONDS, type Metrics } from "@isthmus/observe";
import type { Applied, MapFill } from "@isthmus/proto";

/** What is read at every scrape. */
export interface AgentFacts {
  readonly fill: () => readonly MapFill[];
  readonly connected: () => boolean;
  /** Real cluster ids in sync since the start. */
  readonly inSync: () => Iterable<number>;
  readonly failedObjects: () => number;
  readonly datapath: () => ReadonlyMap<string, number>;
}

export interface AgentMetrics {
  /** Gauges of what lives elsewhere. */
  watch(facts: AgentFacts): void;
  syncEvent(clusterId: number, event: string): void;
  refusedRecord(clusterId: number): void;
  refusedFile(file: string): void;
  applied(acks: readonly Applied[], tookMs: number): void;
}

export function createAgentMetrics(metrics: Metrics): AgentMetrics {
  const events = metrics.counter("mesh_sync_events_total", "Messages that did not fit, and what was done", [
    "cluster_id",
    "event",
  ]);
  const records = metrics.counter("mesh_records_refused_total", "Records that cannot be read", ["cluster_id"]);
  const files = metrics.counter("mesh_state_files_refused_total", "State files that cannot be used", ["file"]);
  const apply = metrics.histogram("mesh_apply_seconds", "Message to maps written", [], LATENCY_BUCKETS_SECONDS);
  const propagation = metrics.histogram(
    "mesh_propagation_seconds",
    "From the origin's apiserver seeing content to maps written",
    ["stage"],
    LATENCY_BUCKETS_SECONDS,
  );
  return {
    watch(facts) {
      metrics.gauge("mesh_map_entries", "Entries in use", ["map"], (gauge) => {
        for (const { map, used } of facts.fill()) gauge.set(used, { map });
      });
      metrics.gauge("mesh_map_capacity", "Entries that fit", ["map"], (gauge) => {
        for (const { map, capacity } of facts.fill()) gauge.set(capacity, { map });
      });
      metrics.gauge("mesh_stream_connected", "1 while a stream is open", [], (gauge) =>
        gauge.set(facts.connected() ? 1 : 0),
      );
      metrics.gauge("mesh_source_in_sync", "1 for a source in sync since the start", ["cluster_id"], (gauge) => {
        for (const id of facts.inSync()) gauge.set(1, { cluster_id: String(id) });
      });
      metrics.gauge("mesh_objects_failed", "Frontends and nodes that are not in the maps as desired", [], (gauge) =>
        gauge.set(facts.failedObjects()),
      );
      metrics.gauge("mesh_datapath_events", "Counters of the programs", ["event"], (gauge) => {
        for (const [event, count] of facts.datapath()) gauge.set(count, { event });
      });
    },
    syncEvent: (clusterId, event) => events.add({ cluster_id: String(clusterId), event }),
    refusedRecord: (clusterId) => records.add({ cluster_id: String(clusterId) }),
    refusedFile: (file) => files.add({ file }),
    applied(acks, tookMs) {
      apply.observe(tookMs / 1000);
      for (const { observedUs, appliedUs } of acks) {
        if (observedUs !== 0n) propagation.observe(Number(appliedUs - observedUs) / 1e6, { stage: "agent" });
      }
    },
  };
}
