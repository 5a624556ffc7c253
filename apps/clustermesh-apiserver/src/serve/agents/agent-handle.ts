/** One agent's stream in the hub: its session, what arrives from it, and how it ends. */
import type { Ack, Buckets, Hello, Position } from "@isthmus/proto";
import { isPositionOf } from "@isthmus/records";
import type { StreamSource } from "../../ports/stream-source.js";
import type { AgentRegistry } from "./agent-registry.js";
import type { FanOut } from "./fan-out.js";
import { createSession, type Leaving, type Session } from "./session.js";
import type { SnapshotGate } from "./snapshot-gate.js";
import type { StreamMetrics } from "./stream-metrics.js";

/** An agent's stream as the hub uses it. */
export interface AgentStream {
  /** False when the stream is full; `drained` of the handle follows. */
  write(bytes: Buffer): boolean;
  /** Ends it with a GoAway. */
  goAway(leaving: Leaving): void;
  /** Ends it with INTERNAL, and logs why. */
  fail(thrown: unknown): void;
}

export interface AgentHandle {
  /** The stream has room again. */
  drained(): void;
  /** Positions of clusters that are not served, and malformed ones, are ignored and counted. */
  ack(ack: Ack): void;
  /** The agent asks for the buckets that differ. */
  buckets(asked: Buckets): void;
  /** Hub and fan-out add sources to it and wake it. */
  readonly session: Session;
  /** For an internal error: ends the stream. */
  fail(thrown: unknown): void;
  /** The stream has ended. May be called twice. */
  closed(): void;
}

/** `sendAway`, `fail`: end a stream and count it. */
export interface AgentHandleModules {
  /** What sessions share, and which clusters are served. */
  readonly fanOut: FanOut;
  /** Gets what was sent to the node, and what it acknowledged. */
  readonly agents: AgentRegistry;
  /** Shared by all agents of the server. */
  readonly gate: SnapshotGate;
  /** Shared by all agents of the server. */
  readonly metrics: StreamMetrics;
  /** Measures the age of content at a stage; `observedMicros`: wall clock in microseconds, above 0. */
  readonly observe: (stage: string, source: StreamSource, observedMicros: number) => void;
  /** The session is closed before it is called. */
  readonly sendAway: (stream: AgentStream, leaving: Leaving) => void;
  /** The handle is closed before it is called. */
  readonly fail: (stream: AgentStream, thrown: unknown) => void;
  /** Called at each `closed`, so twice for a stream that fails and then ends. */
  readonly onClosed: (handle: AgentHandle) => void;
  /** Aborts when the server closes: ends reads on behalf of the agent. */
  readonly signal: AbortSignal;
}

/** Sends nothing before sources are added to its session. */
export function createAgentHandle(hello: Hello, stream: AgentStream, modules: AgentHandleModules): AgentHandle {
  const { fanOut, agents, metrics } = modules;
  const { node } = hello;
  const session = createSession(hello, {
    write: (bytes) => stream.write(bytes),
    encoderOf: fanOut.shared.encoderOf,
    sourceStateMessage: fanOut.shared.sourceStateMessage,
    gate: modules.gate,
    signal: modules.signal,
    leave(leaving) {
      session.close();
      modules.sendAway(stream, leaving);
    },
    fail: (thrown) => handle.fail(thrown),
    onBehind: (source) => metrics.behind.add({ source: source.cluster }),
    onIgnored: (reason) => metrics.ignored.add({ reason }),
    onSent(source, { observedMicros, to }) {
      if (to !== undefined) agents.sent(node, source.clusterId, to as Position);
      if (observedMicros !== undefined && observedMicros > 0) modules.observe("sent", source, observedMicros);
    },
  });

  /** The positions that count; the others are counted as ignored. */
  function servedOf(ack: Ack): Ack["applied"] {
    return ack.applied.filter((applied) => {
      const reason = fanOut.ignores(applied);
      if (reason !== undefined) metrics.ignored.add({ reason });
      return reason === undefined;
    });
  }

  /** Without a position that is not one of the local cluster. */
  function policiesOf({ policies }: Ack): Ack["policies"] {
    if (policies?.position === undefined || isPositionOf(0, policies.position)) return policies;
    metrics.ignored.add({ reason: "malformed position" });
    return { ...policies, position: undefined };
  }

  const handle: AgentHandle = {
    session,
    drained: () => session.drained(),
    buckets(asked) {
      session.buckets(asked);
      session.pump();
    },
    fail(thrown) {
      handle.closed();
      modules.fail(stream, thrown);
    },
    ack(ack) {
      const { maps, conditions } = ack;
      const reports = { maps, conditions, policies: policiesOf(ack), applied: servedOf(ack) };
      for (const { clusterId, seconds } of agents.acked(node, reports)) {
        const cluster = fanOut.served.get(clusterId)?.cluster;
        if (cluster !== undefined && seconds >= 0) metrics.propagation.observe(seconds, { stage: "applied", cluster });
      }
    },
    closed() {
      session.close();
      modules.onClosed(handle);
    },
  };
  return handle;
}
