/**
 * Connects all agents' sessions with all sources, and wakes sessions when sources change.
 *
 * Changes of indexes and states wake every session once per turn of the event loop, however many there are, and only for the
 * sources that changed. A timer sends all states; another one sends Marks of the sources that had content since their last
 * Mark. A new stream of a node replaces its previous one.
 */
import { setMaxListeners } from "node:events";
import type { Clock } from "@isthmus/model";
import type { Logger, Metrics } from "@isthmus/observe";
import type { Ack, Applied, Buckets, Hello, Position } from "@isthmus/proto";
import { isPositionOf } from "@isthmus/records";
import type { StreamSource, StreamSources } from "../../ports/stream-source.js";
import type { AgentRegistry } from "./agent-registry.js";
import { createChangedSources } from "./changed-sources.js";
import { createSession, type Leaving, type Session } from "./session.js";
import { createSnapshotGate } from "./snapshot-gate.js";
import { createSourceFeeds } from "./source-feeds.js";
import { createStreamMetrics } from "./stream-metrics.js";

export interface StreamHubOptions {
  /** Concurrent first syncs; agents beyond it are sent away for 0.5 s to 2 s. */
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

/** An agent's stream as the hub uses it. */
export interface AgentStream {
  write(bytes: Buffer): boolean;
  /** Ends it with a GoAway. */
  goAway(leaving: Leaving): void;
  /** Ends it with INTERNAL, and logs why. */
  fail(thrown: unknown): void;
}

export interface AgentHandle {
  drained(): void;
  ack(ack: Ack): void;
  buckets(asked: Buckets): void;
  readonly session: Session;
  /** For an internal error: ends the stream. */
  fail(thrown: unknown): void;
  closed(): void;
}

export interface StreamHub {
  /** Undefined: too many agents, or this server is shutting down; a GoAway was sent. */
  open(hello: Hello, stream: AgentStream): AgentHandle | undefined;
  /** For an internal error on a stream that has no handle. */
  fail(stream: AgentStream, thrown: unknown): void;
  /** Counts a stream that was ended because of what the agent sent; `code`: gRPC status. */
  refused(code: string): void;
  /** Sends every agent away, spread over `spreadMs`. */
  drain(spreadMs: number): void;
  readonly size: number;
  /** Number of served sources. */
  readonly sourceCount: number;
  close(): void;
}

type Handle = AgentHandle & { readonly node: string; readonly stream: AgentStream };

const STATE_EVERY_MS = 5000;
const MARK_EVERY_MS = 15_000;

export function createStreamHub(options: StreamHubOptions, modules: StreamHubModules): StreamHub {
  const { sources, agents, clock } = modules;
  const gate = createSnapshotGate(options.maxSnapshots);
  const handles = new Map<string, Handle>();
  const lifetime = new AbortController();
  // Every session listens to this signal.
  setMaxListeners(0, lifetime.signal);
  const served = new Map<number, StreamSource>(sources.all.map((source) => [source.clusterId, source]));
  /** Sources with new content since their last Mark. */
  const unmarked = new Set<StreamSource>();
  let draining = false;

  const { propagation, behind, away, ignored, refused, errors } = createStreamMetrics(modules.metrics, {
    agents: () => handles.size,
    snapshots: () => gate.running,
  });

  /** Runs `work` for each session. An error ends the stream of that agent only, which connects again. */
  function each(work: (session: Session, handle: Handle) => void): void {
    for (const handle of [...handles.values()]) attempt(handle, () => work(handle.session, handle));
  }

  function begin(node: string, session: Session, source: StreamSource): void {
    const have = session.addSource(source);
    if (have !== undefined) agents.setApplied(node, source.clusterId, have);
  }

  function attempt(handle: AgentHandle, work: () => void): void {
    try {
      work();
    } catch (thrown) {
      handle.fail(thrown);
    }
  }

  const changed = createChangedSources(clock, (sources, states) => {
    const shared = feeds.states(states);
    each((session) => {
      if (states.size > 0) session.sendStates(shared);
      session.wake(sources);
    });
  });

  function pumpAll(): void {
    each((session) => session.pump());
  }

  const feeds = createSourceFeeds({
    clock,
    onContent(source, observedMicros) {
      if (observedMicros > 0) observe("received", source, observedMicros);
      unmarked.add(source);
      changed.content(source);
    },
    onState: (source) => changed.state(source),
  });

  function observe(stage: string, source: StreamSource, observedMicros: number): void {
    const seconds = Math.max(0, (clock.wallMicros() - observedMicros) / 1e6);
    propagation.observe(seconds, { stage, cluster: source.cluster });
  }

  /** True when the cluster is served and the position is well-formed for it; other positions of an agent are ignored. */
  function isServed({ clusterId, position }: Applied): boolean {
    const reason = !served.has(clusterId)
      ? "unserved cluster"
      : isPositionOf(clusterId, position)
        ? undefined
        : "malformed position";
    if (reason !== undefined) ignored.add({ reason });
    return reason === undefined;
  }

  const stopSources = sources.onChange(({ added, removed }) => {
    if (added !== undefined) {
      served.set(added.clusterId, added);
      feeds.follow(added);
    }
    if (removed !== undefined) {
      served.delete(removed.clusterId);
      changed.forget(removed);
      unmarked.delete(removed);
      feeds.forget(removed);
      agents.removedSource(removed.clusterId);
    }
    each((session, { node }) => {
      if (added !== undefined) begin(node, session, added);
      if (removed !== undefined) session.removeSource(removed);
      if (sources.complete) session.removeUnknown(served);
    });
    pumpAll();
  });
  for (const source of sources.all) feeds.follow(source);

  const stateTimer = setInterval(() => {
    const states = feeds.states(new Set(sources.all));
    each((session) => {
      session.sendStates(states);
      session.pump();
    });
  }, STATE_EVERY_MS);
  const markTimer = setInterval(() => {
    feeds.trim();
    const sources = new Set(unmarked);
    unmarked.clear();
    each((session) => {
      session.mark(sources);
      session.pump();
    });
  }, MARK_EVERY_MS);

  function fail(stream: AgentStream, thrown: unknown): void {
    errors.add();
    stream.fail(thrown);
  }

  function sendAway(stream: AgentStream, leaving: Leaving): void {
    away.add({ reason: leaving.reason });
    stream.goAway(leaving);
  }

  return {
    open(hello, stream) {
      const { node } = hello;
      const old = handles.get(node);
      if (draining || (old === undefined && handles.size >= options.maxAgents)) {
        const reason = draining ? "shutting down" : "too many agents";
        sendAway(stream, { retryAfterMs: 200 + Math.random() * 1800, reason });
        return undefined;
      }
      if (old !== undefined) sendAway(old.stream, { retryAfterMs: 1000, reason: "replaced by a newer stream" });
      old?.closed();
      const session = createSession(hello, {
        write: (bytes) => stream.write(bytes),
        encoderOf: feeds.encoderOf,
        sourceStateMessage: feeds.sourceStateMessage,
        gate,
        signal: lifetime.signal,
        leave(leaving) {
          session.close();
          sendAway(stream, leaving);
        },
        fail: (thrown) => handle.fail(thrown),
        onBehind: (source) => behind.add({ source: source.cluster }),
        onIgnored: (reason) => ignored.add({ reason }),
        onSent(source, { observedMicros, to }) {
          if (to !== undefined) agents.sent(node, source.clusterId, to as Position);
          if (observedMicros !== undefined && observedMicros > 0) observe("sent", source, observedMicros);
        },
      });
      const handle: Handle = {
        node,
        session,
        stream,
        drained: () => session.drained(),
        buckets(asked) {
          session.buckets(asked);
          session.pump();
        },
        fail(thrown) {
          handle.closed();
          fail(stream, thrown);
        },
        ack(ack) {
          const applied = ack.applied.filter(isServed);
          for (const { clusterId, seconds } of agents.acked(node, {
            maps: ack.maps,
            conditions: ack.conditions,
            applied,
          })) {
            const cluster = served.get(clusterId)?.cluster;
            if (cluster !== undefined && seconds >= 0) propagation.observe(seconds, { stage: "applied", cluster });
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
      agents.connected(node, hello.version);
      attempt(handle, () => {
        for (const source of sources.all) begin(node, session, source);
        if (sources.complete) session.removeUnknown(served);
        session.pump();
      });
      return handle;
    },
    fail,
    refused: (code) => refused.add({ code }),
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
    get sourceCount() {
      return served.size;
    },
    close() {
      clearInterval(stateTimer);
      clearInterval(markTimer);
      stopSources();
      feeds.close();
      lifetime.abort();
    },
  };
}
