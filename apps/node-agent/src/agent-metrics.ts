/** All metrics of this agent. */
import { MAX_CLUSTER_ID } from "@isthmus/model";
import { LATENCY_BUCKETS_SECONDS, type Metrics } from "@isthmus/observe";
import type { Applied, MapFill } from "@isthmus/proto";
import { NODE_SOURCE_STATES } from "@isthmus/records";
import type { EventFeed } from "./events/event-feed.js";
import type { MoveCount } from "./figures/service-moves.js";
import type { SourceReport } from "./source-report.js";

/** Values that are read at every scrape. */
export interface AgentFacts {
  /** Entries in use, and those that fit, of each map. */
  readonly fill: () => readonly MapFill[];
  /** True while a stream to an apiserver is open and had its Welcome. */
  readonly connected: () => boolean;
  /** One report for each source that the agent knows. */
  readonly sources: () => Iterable<SourceReport>;
  /** Number of pod cgroups with Service programs attached. */
  readonly cgroups: () => number;
  /** Number of objects that are not in the maps as desired, and of Services that cannot be planned. */
  readonly failedObjects: () => number;
  /** Counts since the maps were made, by event. */
  readonly datapath: () => ReadonlyMap<string, number>;
  /** What became of refused and unanswered connects, by Service. */
  readonly moves: () => readonly MoveCount[];
  /** Undefined: this node has no events. */
  readonly events: () => Pick<EventFeed, "counts" | "subscribers"> | undefined;
}

export interface AgentMetrics {
  /** Adds the gauges that are read from `facts` at every scrape. */
  watch(facts: AgentFacts): void;
  /** Counts a refused or repaired message; `clusterId` as on the wire, an impossible one is counted as `invalid`. */
  syncEvent(clusterId: number, event: string): void;
  /** `clusterId` is the real id, also for the local cluster (not 0). */
  refusedRecord(clusterId: number): void;
  /** Counts a snapshot that cannot be used; `file` as in `UnreadableState`. */
  refusedFile(file: string): void;
  /** Observes one apply, and the propagation of each ack whose `observedUs` is not 0 (unknown). */
  applied(acks: readonly Applied[], tookMs: number): void;
}

/** Registers the counters and histograms in `metrics`; the gauges follow with `watch`, which is called once. */
export function createAgentMetrics(metrics: Metrics): AgentMetrics {
  const events = metrics.counter(
    "mesh_sync_events_total",
    "Messages of a server that were refused or repaired, by event",
    ["cluster_id", "event"],
  );
  const records = metrics.counter(
    "mesh_records_refused_total",
    "Records whose value cannot be read; the log names them",
    ["cluster_id"],
  );
  const files = metrics.counter(
    "mesh_state_files_refused_total",
    "State files that cannot be used; the node starts without them",
    ["file"],
  );
  const apply = metrics.histogram(
    "mesh_apply_seconds",
    "Time of one apply: from taking the waiting changes to the maps written",
    [],
    LATENCY_BUCKETS_SECONDS,
  );
  const propagation = metrics.histogram(
    "mesh_propagation_seconds",
    "Time from when the apiserver of origin saw a change to a stage: agent, its maps are written",
    ["stage"],
    LATENCY_BUCKETS_SECONDS,
  );
  return {
    watch(facts) {
      metrics.gauge(
        "mesh_map_entries",
        "Entries in use; at mesh_map_capacity new ones are refused and counted in mesh_objects_failed, backends and nodes of remote clusters at three quarters of it",
        ["map"],
        (gauge) => {
          for (const { map, used } of facts.fill()) gauge.set(used, { map });
        },
      );
      metrics.gauge("mesh_map_capacity", "Entries that fit in the map", ["map"], (gauge) => {
        for (const { map, capacity } of facts.fill()) gauge.set(capacity, { map });
      });
      metrics.gauge(
        "mesh_stream_connected",
        "1 while a stream to an apiserver is open; without one the node goes on with what it has",
        [],
        (gauge) => gauge.set(facts.connected() ? 1 : 0),
      );
      metrics.gauge("mesh_source_in_sync", "1 when in sync at least once since the start", ["cluster_id"], (gauge) => {
        for (const { clusterId, wasInSync } of facts.sources())
          gauge.set(wasInSync ? 1 : 0, { cluster_id: String(clusterId) });
      });
      metrics.gauge(
        "mesh_source_state",
        `1 for the state it is in: ${NODE_SOURCE_STATES.map(({ label }) => label).join(", ")}`,
        ["cluster_id", "state"],
        (gauge) => {
          for (const { clusterId, state } of facts.sources()) gauge.set(1, { cluster_id: String(clusterId), state });
        },
      );
      metrics.gauge(
        "mesh_pods_cgroups_attached",
        "Cgroups of pods with Service programs; 0 = pods have no Services",
        [],
        (gauge) => gauge.set(facts.cgroups()),
      );
      metrics.gauge(
        "mesh_objects_failed",
        "Frontends and nodes that are not in the maps as desired; the log names them",
        [],
        (gauge) => gauge.set(facts.failedObjects()),
      );
      metrics.gauge(
        "mesh_flow_events",
        "Events of flows and drops since the start, by what became of them: read, or late, which the agent did not take in time; those that programs did not write are event_limited and event_lost of mesh_datapath_events",
        ["outcome"],
        (gauge) => {
          for (const [outcome, count] of Object.entries(facts.events()?.counts ?? {})) gauge.set(count, { outcome });
        },
      );
      metrics.gauge(
        "mesh_event_subscribers",
        "Readers of mesh monitor; while there is none, programs write drops only",
        [],
        (gauge) => gauge.set(facts.events()?.subscribers ?? 0),
      );
      metrics.gauge(
        "mesh_datapath_events",
        "What the socket programs counted since the maps were made",
        ["event"],
        (gauge) => {
          for (const [event, count] of facts.datapath()) gauge.set(count, { event });
        },
      );
      metrics.counter(
        "mesh_service_moves_total",
        "Connects of this node's pods to a Service that a backend refused or did not answer: moved to another backend because of a reason, or not moved: exhausted, failed",
        ["namespace", "service", "reason"],
        (counter) => {
          for (const { count, ...labels } of facts.moves()) counter.add(labels, count);
        },
      );
    },
    // A server can send any cluster id, and each would make another series.
    syncEvent: (clusterId, event) =>
      events.add({ cluster_id: clusterId > MAX_CLUSTER_ID ? "invalid" : String(clusterId), event }),
    refusedRecord: (clusterId) => records.add({ cluster_id: String(clusterId) }),
    refusedFile: (file) => files.add({ file }),
    applied(acks, tookMs) {
      apply.observe(tookMs / 1000);
      for (const { observedUs, appliedUs } of acks) {
        if (observedUs !== 0n)
          propagation.observe(Math.max(0, Number(appliedUs - observedUs)) / 1e6, { stage: "agent" });
      }
    },
  };
}
