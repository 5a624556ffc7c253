/**
 * Connects the sessions of all agents with all sources: which nodes have a stream (agent-roster.ts), what is sent on each
 * (session.ts), and when (fan-out.ts). A new stream of a node replaces its previous one.
 */
import { setMaxListeners } from "node:events";
import type { Clock } from "@isthmus/model";
import type { Metrics } from "@isthmus/observe";
import type { Hello } from "@isthmus/proto";
import type { StreamSource, StreamSources } from "../../ports/stream-source.js";
import { type AgentHandle, type AgentStream, createAgentHandle } from "./agent-handle.js";
import type { AgentRegistry } from "./agent-registry.js";
import { createAgentRoster } from "./agent-roster.js";
import { createFanOut } from "./fan-out.js";
import type { Leaving, Session } from "./session.js";
import { createSnapshotGate } from "./snapshot-gate.js";
import { createStreamMetrics } from "./stream-metrics.js";

export interface StreamHubOptions {
  /** Concurrent first syncs; agents beyond it are sent away for 0.5 s to 2 s. */
  readonly maxSnapshots: number;
  /** Nodes that may have a stream at once; a further one is sent away. */
  readonly maxAgents: number;
}

export interface StreamHubModules {
  /** Followed until `close`. */
  readonly sources: StreamSources;
  /** Gets connects, disconnects, and positions that were sent, acknowledged or named in a Hello. */
  readonly agents: AgentRegistry;
  /** `wallMicros` is for propagation times, `now` for pauses and ages. */
  readonly clock: Clock;
  /** Gets all metrics of the streams; the gauges are read at every scrape. */
  readonly metrics: Metrics;
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
  /** Number of connected agents. */
  readonly size: number;
  /** Number of served sources. */
  readonly sourceCount: number;
  /** Stops timers and reads; streams are ended by their server. */
  close(): void;
}

interface OpenAgent {
  readonly node: string;
  readonly stream: AgentStream;
  readonly handle: AgentHandle;
}

/** Serves the agents that are opened, until `close`. */
export function createStreamHub(options: StreamHubOptions, modules: StreamHubModules): StreamHub {
  const { sources, agents, clock } = modules;
  const gate = createSnapshotGate(options.maxSnapshots);
  const roster = createAgentRoster<OpenAgent>(options.maxAgents);
  const lifetime = new AbortController();
  // Every session listens to this signal.
  setMaxListeners(0, lifetime.signal);
  const metrics = createStreamMetrics(modules.metrics, {
    agents: () => roster.size,
    snapshots: () => gate.running,
  });
  const fanOut = createFanOut({
    ...{ sources, clock, begin },
    each(work) {
      for (const { node, handle } of roster.all()) attempt(handle, () => work(handle.session, node));
    },
    onContent(source, observedMicros) {
      if (observedMicros > 0) observe("received", source, observedMicros);
    },
    onRemoved: ({ clusterId }) => agents.removedSource(clusterId),
  });

  /** An error ends the stream of that agent only, which connects again. */
  function attempt(handle: AgentHandle, work: () => void): void {
    try {
      work();
    } catch (thrown) {
      handle.fail(thrown);
    }
  }

  function begin(node: string, session: Session, source: StreamSource): void {
    const have = session.addSource(source);
    if (have !== undefined) agents.setApplied(node, source.clusterId, have);
  }

  function observe(stage: string, source: StreamSource, observedMicros: number): void {
    const seconds = Math.max(0, (clock.wallMicros() - observedMicros) / 1e6);
    metrics.propagation.observe(seconds, { stage, cluster: source.cluster });
  }

  function fail(stream: AgentStream, thrown: unknown): void {
    metrics.errors.add();
    stream.fail(thrown);
  }

  function sendAway(stream: AgentStream, leaving: Leaving): void {
    metrics.away.add({ reason: leaving.reason });
    stream.goAway(leaving);
  }

  function add(hello: Hello, stream: AgentStream): AgentHandle {
    const { node } = hello;
    const handle = createAgentHandle(hello, stream, {
      ...{ fanOut, agents, gate, metrics, observe, sendAway, fail, signal: lifetime.signal },
      onClosed() {
        if (roster.remove(node, agent)) agents.disconnected(node);
      },
    });
    const agent = { node, stream, handle };
    roster.add(node, agent);
    agents.connected(node, hello);
    return handle;
  }

  return {
    open(hello, stream) {
      const admission = roster.admit(hello.node);
      if ("refused" in admission) {
        sendAway(stream, { retryAfterMs: 200 + Math.random() * 1800, reason: admission.refused });
        return undefined;
      }
      const { replaced } = admission;
      if (replaced !== undefined) {
        sendAway(replaced.stream, { retryAfterMs: 1000, reason: "replaced by a newer stream" });
        replaced.handle.closed();
      }
      const handle = add(hello, stream);
      attempt(handle, () => {
        for (const source of sources.all) begin(hello.node, handle.session, source);
        if (sources.complete) handle.session.removeUnknown(fanOut.served);
        handle.session.pump();
      });
      return handle;
    },
    fail,
    refused: (code) => metrics.refused.add({ code }),
    drain(spreadMs) {
      for (const { stream, handle } of roster.drain()) {
        handle.session.close();
        sendAway(stream, { retryAfterMs: Math.random() * spreadMs, reason: "shutting down" });
      }
    },
    get size() {
      return roster.size;
    },
    get sourceCount() {
      return fanOut.served.size;
    },
    close() {
      fanOut.close();
      lifetime.abort();
    },
  };
}
