/**
 * All agents' sessions and all sources: who must be woken by what.
 *
 * A change of an index wakes every session once per turn of the event loop, however many changes came in it. State and
 * Marks go out on a timer. A new stream of a node replaces its old one.
 */
import { setMaxListeners } from "node:events";
import type { Clock } from "@isthmus/model";
import type { Logger, Metrics } from "@isthmus/observe";
import type { Ack, Buckets, Hello, Position } from "@isthmus/proto";
import type { AgentRegistry } from "./agent-registry.js";
import { createSession, type Leaving, type Session } from "./session.js";
import { createSnapshotGate } from "./snapshot-gate.js";
import { createSourceFeeds } from "./source-feeds.js";
import { createStreamMetrics } from "./stream-metrics.js";
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
  /** Ends it with INTERNAL, and logs why. */
  fail(thrown: unknown): void;
}

export interface AgentHandle {
  drained(): void;
  ack(ack: Ack): void;
  buckets(asked: Buckets): void;
  readonly session: Session;
  /** Our own mistake: ends the stream. */
  fail(thrown: unknown): void;
  closed(): void;
}

export interface StreamHub {
  /** Undefined: no room, or leaving; a GoAway was sent. */
  open(hello: Hello, stream: AgentStream): AgentHandle | undefined;
  /** Our own mistake at a stream that has no handle. */
  fail(stream: AgentStream, thrown: unknown): void;
  /** Sends every agent away, spread over `spreadMs`. */
  drain(spreadMs: number): void;
  readonly size: number;
  close(): void;
}

type Handle = AgentHandle & { readonly stream: AgentStream };

const STATE_EVERY_MS = 5000;
const MARK_EVERY_MS = 15_000;

export function createStreamHub(options: StreamHubOptions, modules: StreamHubModules): StreamHub {
  const { sources, agents, clock } = modules;
  const gate = createSnapshotGate(options.maxSnapshots);
  const handles = new Map<string, Handle>();
  const lifetime = new AbortController();
  // Every session follows this one signal.
  setMaxListeners(0, lifetime.signal);
  const woken = new Set<StreamSource>();
  let draining = false;

  const { propagation, behind, away, errors } = createStreamMetrics(modules.metrics, {
    agents: () => handles.size,
    snapshots: () => gate.running,
  });

  /** What throws at one agent ends that agent's stream: it comes back, and the others never knew. */
  function each(work: (session: Session) => void): void {
    for (const handle of [...handles.values()]) attempt(handle, () => work(handle.session));
  }

  function attempt(handle: AgentHandle, work: () => void): void {
    try {
      work();
    } catch (thrown) {
      handle.fail(thrown);
    }
  }

  /** Once per turn of the event loop, at the sources that changed in it. */
  function wake(source: StreamSource): void {
    woken.add(source);
    if (woken.size > 1) return;
    setImmediate(() => {
      const at = new Set(woken);
      woken.clear();
      each((session) => session.pump(at));
    });
  }

  function pumpAll(): void {
    each((session) => session.pump());
  }

  const feeds = createSourceFeeds({
    clock,
    onContent(source, observedMicros) {
      if (observedMicros > 0) observe("received", source, observedMicros);
      wake(source);
    },
    onState(source) {
      each((session) => session.tellState(source));
      wake(source);
    },
  });

  function observe(stage: string, source: StreamSource, observedMicros: number): void {
    const seconds = Math.max(0, (clock.wallMicros() - observedMicros) / 1e6);
    propagation.observe(seconds, { stage, cluster: source.cluster });
  }

  function knownClusters(): ReadonlySet<number> {
    return new Set(sources.all.map(({ clusterId }) => clusterId));
  }

  const stopSources = sources.onChange(({ added, removed }) => {
    if (added !== undefined) feeds.follow(added);
    if (removed !== undefined) {
      feeds.forget(removed);
      agents.removedSource(removed.clusterId);
    }
    each((session) => {
      if (added !== undefined) session.addSource(added);
      if (removed !== undefined) session.removeSource(removed);
      if (sources.complete) session.removeUnknown(knownClusters());
    });
    pumpAll();
  });
  for (const source of sources.all) feeds.follow(source);

  const stateTimer = setInterval(() => {
    for (const source of sources.all) each((session) => session.tellState(source));
    pumpAll();
  }, STATE_EVERY_MS);
  const markTimer = setInterval(() => {
    feeds.trim();
    each((session) => session.mark());
    pumpAll();
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
        stateOf: feeds.stateOf,
        gate,
        signal: lifetime.signal,
        leave(leaving) {
          session.close();
          sendAway(stream, leaving);
        },
        fail: (thrown) => handle.fail(thrown),
        onBehind: (source) => behind.add({ source: source.cluster }),
        onSent(source, { observedMicros, to }) {
          if (to !== undefined) agents.sent(node, source.clusterId, to as Position);
          if (observedMicros !== undefined && observedMicros > 0) observe("sent", source, observedMicros);
        },
      });
      const handle: Handle = {
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
      attempt(handle, () => {
        for (const source of sources.all) session.addSource(source);
        if (sources.complete) session.removeUnknown(knownClusters());
        session.pump();
      });
      return handle;
    },
    fail,
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
      feeds.close();
      lifetime.abort();
    },
  };
}
