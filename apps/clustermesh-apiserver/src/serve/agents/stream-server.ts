/**
 * gRPC `mesh.v1.StateSync` for agents, and `Admin/Serve` beside it (query-server.ts): mutual TLS, the node's name is in its certificate.
 *
 * Outgoing messages are already encoded. The first incoming message is Hello; its node must be that of the certificate.
 */

import { type handleBidiStreamingCall, type ServerDuplexStream, type ServiceDefinition, status } from "@grpc/grpc-js";
import { type Clock, printable } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { type Hello, type Report, Role, StateSyncService, ToServer } from "@isthmus/proto";
import { PROTOCOL_VERSION } from "@isthmus/records";
import { createGrpcServer, listen, type RunningServer, serverCredentials } from "../grpc/grpc-server.js";
import type { TlsFiles } from "../grpc/tls-files.js";
import type { AgentHandle, AgentStream } from "./agent-handle.js";
import type { AgentQueries } from "./agent-queries.js";
import { MAX_MESSAGE_BYTES, messageProblem } from "./message-bounds.js";
import { encodeGoAway, encodeWelcome } from "./messages.js";
import { createNodeBudgets, type NodeBudgets } from "./node-budget.js";
import { nodeOf } from "./node-certificate.js";
import { queryService } from "./query-server.js";
import type { StreamHub } from "./stream-hub.js";

export interface StreamServerOptions {
  /** host:port to listen on; port 0: any that is free. */
  readonly address: string;
  /** Name of this process, sent in Welcome. */
  readonly instance: string;
  /** Name of the local cluster, sent in Welcome. */
  readonly cluster: string;
  /** The local cluster's own id, sent in Welcome; in all other messages the local cluster is 0. */
  readonly clusterId: number;
}

export interface StreamServerModules {
  /** Its owner closes it, not the server. */
  readonly hub: StreamHub;
  /** Gets the agents' streams for queries. */
  readonly queries: AgentQueries;
  /** The server's certificate and the CA of its clients, followed while they change. */
  readonly tls: TlsFiles;
  /** For the budgets of nodes. */
  readonly clock: Clock;
  /** Gets connects, disconnects, internal errors, and refusals at a limited rate per node. */
  readonly log: Logger;
  /** host:port of all replicas, sent to agents. */
  readonly servers: () => readonly string[];
  /** Called with each pod report of a connected agent. */
  readonly onReport?: (node: string, report: Report) => void;
  /** Called for each stream that is served. `reports`: its agent sends NodeReports. */
  readonly openNode?: (node: string, reports: boolean) => NodeReporter;
}

/** Gets what the agent of one stream reports of its node. */
export interface NodeReporter {
  /** The health address of the last NodeReport: at most 16 bytes; empty: the node has none. */
  report(health: Uint8Array): void;
  /** A pod was added to the node, or removed from it. */
  reportPod(report: Report): void;
  /** The stream has ended. */
  close(): void;
}

/** Capability of an agent that sends NodeReports. */
const NODE_REPORT = "node-report";

const HELLO_MS = 10_000;

/** A message of an agent; one out of bounds is not decoded. */
type AgentMessage =
  | { readonly bytes: number; readonly message: ToServer["message"] }
  | { readonly bytes: number; readonly problem: string };
type Call = ServerDuplexStream<AgentMessage, Buffer>;

/** Resolves when it listens; rejects with `ADDRESS_IN_USE` when it cannot. */
export async function startStreamServer(
  options: StreamServerOptions,
  modules: StreamServerModules,
): Promise<RunningServer> {
  const server = createGrpcServer(MAX_MESSAGE_BYTES);
  const budgets = createNodeBudgets(modules.clock);
  const subscribe: handleBidiStreamingCall<AgentMessage, Buffer> = (call) =>
    serve(call, options, { ...modules, budgets });
  const definition = {
    subscribe: {
      ...StateSyncService.subscribe,
      requestDeserialize: decodeMessage,
      responseSerialize: (bytes: Buffer) => bytes,
    },
  } as unknown as ServiceDefinition;
  server.addService(definition, { subscribe });
  const ofQueries = queryService({ ...modules, budgets: createNodeBudgets(modules.clock) });
  server.addService(ofQueries.definition, ofQueries.handlers);
  return listen(server, options.address, serverCredentials(modules.tls, { mutual: true }));
}

function decodeMessage(bytes: Buffer): AgentMessage {
  const problem = messageProblem(bytes);
  if (problem !== undefined) return { bytes: bytes.length, problem };
  return { bytes: bytes.length, message: ToServer.decode(bytes).message };
}

type ServeModules = StreamServerModules & { readonly budgets: NodeBudgets };

function serve(call: Call, options: StreamServerOptions, modules: ServeModules): void {
  const { log, hub, budgets } = modules;
  const node = nodeOf(call);
  let handle: AgentHandle | undefined;
  let reporter: NodeReporter | undefined;
  let greeted = false;
  let refused = false;
  const refuse = (code: status, details: string) => {
    refused = true;
    hub.refused(status[code]);
    if (budgets.mayLog(node ?? "")) log.warn("Agent refused", { node, peer: call.getPeer(), reason: details });
    call.emit("error", { code, details });
  };
  const late = setTimeout(() => refuse(status.DEADLINE_EXCEEDED, "No Hello within 10 s"), HELLO_MS);
  const stream: AgentStream = {
    write: (bytes) => call.write(bytes),
    fail(error) {
      log.error("Internal error on agent stream", { node, error });
      call.emit("error", { code: status.INTERNAL, details: "Internal error of clustermesh-apiserver: see its log" });
    },
    goAway({ retryAfterMs, reason }) {
      call.write(encodeGoAway({ retryAfterMs: Math.round(retryAfterMs), reason }));
      call.end();
    },
  };

  function greet(hello: Hello): void {
    clearTimeout(late);
    const problem = refusal(hello, node, greeted);
    greeted = true;
    if (problem !== undefined) {
      refuse(problem.code, problem.details);
      return;
    }
    const { instance, cluster, clusterId } = options;
    call.write(
      encodeWelcome({ instance, servers: [...modules.servers()], protocol: PROTOCOL_VERSION, cluster, clusterId }),
    );
    handle = hub.open(hello, stream);
    if (handle === undefined) return;
    log.info("Agent connected", { node, version: printable(hello.version, 64) });
    reporter = modules.openNode?.(hello.node, hello.capabilities.includes(NODE_REPORT));
  }

  function take(received: AgentMessage): void {
    if (refused) return;
    if ("problem" in received) {
      refuse(status.INVALID_ARGUMENT, `Message out of bounds: ${received.problem}`);
      return;
    }
    const { message, bytes } = received;
    const excess =
      budgets.message(node ?? "", bytes) ??
      (message?.$case === "buckets" ? budgets.buckets(node ?? "", message.value.kind, hub.sourceCount) : undefined);
    if (excess !== undefined) {
      refuse(status.RESOURCE_EXHAUSTED, excess);
      return;
    }
    if (message?.$case === "hello") greet(message.value);
    if (message?.$case === "ack") handle?.ack(message.value);
    if (message?.$case === "buckets") handle?.buckets(message.value);
    if (message?.$case === "nodeReport") reporter?.report(message.value.health);
    if (message?.$case === "report" && handle !== undefined) {
      reporter?.reportPod(message.value);
      modules.onReport?.(node ?? "", message.value);
    }
  }

  /** Runs a handler of this stream. Without the catch an error would end the process and the streams of all agents. */
  function attempt(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      if (handle === undefined) hub.fail(stream, thrown);
      else handle.fail(thrown);
    }
  }

  call.on("data", (message: AgentMessage) => attempt(() => take(message)));
  call.on("drain", () => attempt(() => handle?.drained()));
  const closed = () => {
    clearTimeout(late);
    if (handle !== undefined) log.info("Agent disconnected", { node });
    handle?.closed();
    handle = undefined;
    reporter?.close();
    reporter = undefined;
  };
  call.on("end", () => {
    call.end();
    closed();
  });
  call.on("cancelled", closed);
  call.on("error", closed);
  call.on("close", closed);
  if (!budgets.stream(node ?? "")) {
    clearTimeout(late);
    refuse(status.RESOURCE_EXHAUSTED, `node "${node}" opens streams faster than an agent does: wait some seconds`);
  }
}

function refusal(
  hello: Hello,
  node: string | undefined,
  again: boolean,
): { code: status; details: string } | undefined {
  if (again) return { code: status.INVALID_ARGUMENT, details: "Second Hello on one stream" };
  if (hello.role !== Role.ROLE_AGENT) return { code: status.UNIMPLEMENTED, details: "Only agents are served" };
  if (node === undefined || node !== hello.node)
    return {
      code: status.PERMISSION_DENIED,
      details: `Certificate is of ${node === undefined ? "no node" : `node "${node}"`}, not of node "${printable(hello.node, 64)}"`,
    };
  if (hello.protocolMin > PROTOCOL_VERSION || hello.protocolMax < PROTOCOL_VERSION)
    return {
      code: status.FAILED_PRECONDITION,
      details: `Agent speaks protocol ${hello.protocolMin} to ${hello.protocolMax}, this server ${PROTOCOL_VERSION}`,
    };
  return undefined;
}
