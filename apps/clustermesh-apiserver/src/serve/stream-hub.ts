/**
 * All agents' sessions and all sources: who must be woken by what.
 *
 * A change of an index wakes every session once per turn of the event loop, however many changes came in it. State and
 * Marks go out on a timer. A new stream of a node replaces its old one.
 */
import type { Clock } from "@isthmus/model";
import type { Logger, Metrics } from "@isthmus/observe";
import { LATENCY_BUCKETS_SECONDS } from "@isthmus/observe";
import type { Ack, Hello, Position, SourceStatus } from "@isthmus/proto";
import type { AgentRegistry } from "./agent-registry.js";
import { encodeState } from "./messages.js";
import { createSession, type Leaving, type Session } from "./session.js";
import { createSnapshotGate } from "./snapshot-gate.js";
import { createSourceEncoder, type SourceEncoder } from "./source-encoder.js";
import type { StreamSource, StreamSources } from "./stream-source.js";

export interface StreamHubOptions {
  /** First syncs at once; more are sent away for a moment. */
  readonly maxSnapshots: number;
  readonly maxAgents: number;
}

export interface StreamHubModules {
  readonly sources: StreamSources;
  readonly agents: AgentRegistry;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** The stream as the hub needs it. */
export interface AgentStream {
  write(bytes: Buffer): boolean;
  /** Ends it with a GoAway. */
  goAway(leaving: Leaving): void;
}

export interface AgentHandle {
  drained(): void;
  ack(ack: Ack): void;
  readonly session: Session;
  closed(): void;
}

export interface StreamHub {
  /** Undefined: no room, or leaving; a GoAway was sent. */
  open(hello: Hello, stream: AgentStream): AgentHandle | undefined;
  /** Sends every agent away, spread over `spreadMs`. */
  drain(spreadMs: number): void;
  readonly size: number;
  close(): void;
}

const STATE_EVERY_MS = 5000;
const MARK_EVERY_MS = 15_000;

export function createStreamHub(options: StreamHubOptions, modules: StreamHubModules): StreamHub {
  const { sources, agents, clock, metrics } = modules;
  const gate = createSnapshotGate(options.maxSnapshots);
  const encoders = new Map<StreamSource, SourceEncoder>();
  const states = new Map<
    StreamSource,
    { readonly at: number; readonly status: SourceStatus; readonly bytes: Buffer }
  >();
  const stops = new Map<StreamSource, () => void>();
  const handles = new Map<string, AgentHandle & { readonly stream: AgentStream }>();
  const lifetime = new AbortController();
  const woken = new Set<StreamSource>();
  let draining = false;

  const propagation = metrics.histogram(
    "mesh_propagation_seconds",
    "How long news took from the apiserver of origin to a stage",
    ["stage", "cluster"],
    LATENCY_BUCKETS_SECONDS,
  );
  const behind = metrics.counter("mesh_stream_behind_total", "Sources withheld from agents that knew more", ["source"]);
  const away = metrics.counter("mesh_stream_goaway_total", "Agents sent away", ["reason"]);
  metrics.gauge("mesh_stream_agents", "Agents connected", [], (gauge) => gauge.set(handles.size));
  metrics.gauge("mesh_stream_snapshots_running", "First syncs running", [], (gauge) => gauge.set(gate.running));

  /** Once per turn of the event loop, at the sources that changed in it. */
  function wake(source: StreamSource): void {
    woken.add(source);
    if (woken.size > 1) return;
    setImmediate(() => {
      const at = new Set(woken);
      woken.clear();
      for (const { session } of [...handles.values()]) session.pump(at);
    });
  }

  function pumpAll(): void {
    for (const { session } of [...handles.values()]) session.pump();
  }

  function follow(source: StreamSource): void {
    encoders.set(source, createSourceEncoder(source.clusterId, source.index));
    const stopIndex = source.index.onChange(({ observedMicros }) => {
      if (observedMicros > 0) observe("received", source, observedMicros);
      wake(source);
    });
    const stopState = source.onState(() => {
      for (const { session } of handles.values()) session.tellState(source);
      wake(source);
    });
    stops.set(source, () => {
      stopIndex();
      stopState();
    });
  }

  function observe(stage: string, source: StreamSource, observedMicros: number): void {
    const seconds = Math.max(0, (clock.wallMicros() - observedMicros) / 1e6);
    propagation.observe(seconds, { stage, cluster: source.cluster });
  }

  /** Encoded once per source and turn: ages are told in steps of a tenth of a second. */
  function stateOf(source: StreamSource): Buffer {
    const state = source.state();
    const known = states.get(source);
    if (known !== undefined && known.status === state.status && clock.now() - known.at < 100) return known.bytes;
    const { clusterId, cluster } = source;
    const bytes = encodeState({ clusterId, cluster, ...state });
    states.set(source, { at: clock.now(), status: state.status, bytes });
    return bytes;
  }

  function knownClusters(): ReadonlySet<number> {
    return new Set(sources.all.map(({ clusterId }) => clusterId));
  }

  const stopSources = sources.onChange(({ added, removed }) => {
    if (added !== undefined) follow(added);
    if (removed !== undefined) {
      stops.get(removed)?.();
      stops.delete(removed);
      encoders.delete(removed);
      states.delete(removed);
      agents.removedSource(removed.clusterId);
    }
    for (const { session } of handles.values()) {
      if (added !== undefined) session.addSource(added);
      if (removed !== undefined) session.removeSource(removed);
      if (sources.complete) session.removeUnknown(knownClusters());
    }
    pumpAll();
  });
  for (const source of sources.all) follow(source);

  const stateTimer = setInterval(() => {
    for (const { session } of handles.values()) for (const source of sources.all) session.tellState(source);
    pumpAll();
  }, STATE_EVERY_MS);
  const markTimer = setInterval(() => {
    for (const encoder of encoders.values()) encoder.trim();
    for (const { session } of handles.values()) session.mark();
    pumpAll();
  }, MARK_EVERY_MS);

  function sendAway(stream: AgentStream, leaving: Leaving): void {
    away.add({ reason: leaving.reason });
    stream.goAway(leaving);
  }

  function encoderOf(source: StreamSource): SourceEncoder {
    const encoder = encoders.get(source) ?? createSourceEncoder(source.clusterId, source.index);
    encoders.set(source, encoder);
    return encoder;
  }

  return {
    open(hello, stream) {
      if (draining || handles.size >= options.maxAgents) {
        const reason = draining ? "shutting down" : "too many agents";
        sendAway(stream, { retryAfterMs: 200 + Math.random() * 1800, reason });
        return undefined;
      }
      const { node } = hello;
      const old = handles.get(node);
      if (old !== undefined) sendAway(old.stream, { retryAfterMs: 1000, reason: "replaced by a newer stream" });
      old?.closed();
      const session = createSession(hello, {
        write: (bytes) => stream.write(bytes),
        encoderOf,
        stateOf,
        gate,
        signal: lifetime.signal,
        leave(leaving) {
          session.close();
          sendAway(stream, leaving);
        },
        onBehind: (source) => behind.add({ source: source.cluster }),
        onSent(source, { observedMicros, to }) {
          if (to !== undefined) agents.sent(node, source.clusterId, to as Position);
          if (observedMicros !== undefined && observedMicros > 0) observe("sent", source, observedMicros);
        },
      });
      const handle = {
        session,
        stream,
        drained: () => session.drained(),
        ack(ack: Ack) {
          for (const { clusterId, seconds } of agents.acked(node, ack)) {
            const source = sources.all.find((each) => each.clusterId === clusterId);
            if (source !== undefined && seconds >= 0)
              propagation.observe(seconds, { stage: "applied", cluster: source.cluster });
          }
        },
        closed() {
          session.close();
          if (handles.get(node) !== handle) return;
          handles.delete(node);
          agents.disconnected(node);
        },
      };
      handles.set(node, handle);
      agents.connected(node, hello.version, hello.sources);
      for (const source of sources.all) session.addSource(source);
      if (sources.complete) session.removeUnknown(knownClusters());
      session.pump();
      return handle;
    },
    drain(spreadMs) {
      draining = true;
      for (const { stream, session } of [...handles.values()]) {
        session.close();
        sendAway(stream, { retryAfterMs: Math.random() * spreadMs, reason: "shutting down" });
      }
    },
    get size() {
      return handles.size;
    },
    close() {
      clearInterval(stateTimer);
      clearInterval(markTimer);
      stopSources();
      for (const stop of stops.values()) stop();
      lifetime.abort();
    },
  };
}
