/**
 * gRPC `mesh.v1.StateSync` for agents: mutual TLS, the node's name is in its certificate.
 *
 * Messages out are bytes already. The first message in is Hello; its node must be the certificate's.
 */
import {
  experimental,
  type handleBidiStreamingCall,
  Server,
  type ServerCredentials,
  type ServerDuplexStream,
  type ServiceDefinition,
  status,
} from "@grpc/grpc-js";
import { MeshError } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { type Hello, Role, StateSyncService, type ToServer } from "@isthmus/proto";
import { encodeGoAway, encodeWelcome } from "./messages.js";
import type { AgentHandle, AgentStream, StreamHub } from "./stream-hub.js";
import type { TlsFiles } from "./tls-files.js";

export interface StreamServerOptions {
  readonly address: string;
  readonly instance: string;
  readonly cluster: string;
  readonly clusterId: number;
}

export interface StreamServerModules {
  readonly hub: StreamHub;
  readonly tls: TlsFiles;
  readonly log: Logger;
  /** host:port of all replicas, told to agents. */
  readonly servers: () => readonly string[];
}

export interface RunningServer {
  readonly port: number;
  /** Waits for open calls up to `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>;
}

export const PROTOCOL = 1;
const NODE_USER = "system:mesh-node:";
const HELLO_MS = 10_000;

type Call = ServerDuplexStream<ToServer, Buffer>;

export async function startStreamServer(
  options: StreamServerOptions,
  modules: StreamServerModules,
): Promise<RunningServer> {
  const server = createGrpcServer();
  const subscribe: handleBidiStreamingCall<ToServer, Buffer> = (call) => serve(call, options, modules);
  const definition = {
    subscribe: { ...StateSyncService.subscribe, responseSerialize: (bytes: Buffer) => bytes },
  } as unknown as ServiceDefinition;
  server.addService(definition, { subscribe });
  return listen(server, options.address, mutualTls(modules.tls));
}

/** Dead peers are noticed after 13 s. An agent has one stream, the CLI one call at a time. */
export function createGrpcServer(): Server {
  return new Server({
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 3000,
    "grpc.max_receive_message_length": 8 << 20,
    "grpc.max_concurrent_streams": 16,
    "grpc.max_connection_idle_ms": 60_000,
  });
}

export async function listen(server: Server, address: string, credentials: ServerCredentials): Promise<RunningServer> {
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, credentials, (cause, bound) => {
      if (cause === null) return resolve(bound);
      const sentence = `Cannot listen on "${address}": ${cause.message}`;
      reject(new MeshError({ code: "ADDRESS_IN_USE", address }, sentence, { cause }));
    });
  });
  return {
    port,
    close: (graceMs) =>
      new Promise((resolve) => {
        const cut = setTimeout(() => {
          server.forceShutdown();
          // A connection whose peer is gone may never say that it is closed.
          resolve();
        }, graceMs);
        server.tryShutdown(() => {
          clearTimeout(cut);
          resolve();
        });
      }),
  };
}

function mutualTls(tls: TlsFiles): ServerCredentials {
  // The types name the two providers in the other order; the code takes identity first.
  return experimental.createCertificateProviderServerCredentials(tls, tls, true);
}

function serve(call: Call, options: StreamServerOptions, modules: StreamServerModules): void {
  const { log, hub } = modules;
  const node = nodeOf(call);
  let handle: AgentHandle | undefined;
  let greeted = false;
  const refuse = (code: status, details: string) => {
    log.warn("Agent refused", { node, peer: call.getPeer(), reason: details });
    call.emit("error", { code, details });
  };
  const late = setTimeout(() => refuse(status.DEADLINE_EXCEEDED, "No Hello within 10 s"), HELLO_MS);
  const stream: AgentStream = {
    write: (bytes) => call.write(bytes),
    fail(error) {
      log.error("Agent's stream ended by a mistake of ours", { node, error });
      call.emit("error", { code: status.INTERNAL, details: "A mistake of clustermesh-apiserver: its log says which" });
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
    call.write(encodeWelcome({ instance, servers: [...modules.servers()], protocol: PROTOCOL, cluster, clusterId }));
    handle = hub.open(hello, stream);
    if (handle !== undefined) log.info("Agent connected", { node, version: hello.version.slice(0, 64) });
  }

  function take({ message }: ToServer): void {
    if (message?.$case === "hello") greet(message.value);
    if (message?.$case === "ack") handle?.ack(message.value);
    if (message?.$case === "buckets") handle?.buckets(message.value);
  }

  /** What throws here would end the process, and with it every other agent's stream. */
  function attempt(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      if (handle === undefined) hub.fail(stream, thrown);
      else handle.fail(thrown);
    }
  }

  call.on("data", (message: ToServer) => attempt(() => take(message)));
  call.on("drain", () => attempt(() => handle?.drained()));
  const closed = () => {
    clearTimeout(late);
    if (handle !== undefined) log.info("Agent disconnected", { node });
    handle?.closed();
    handle = undefined;
  };
  call.on("end", () => {
    call.end();
    closed();
  });
  call.on("cancelled", closed);
  call.on("error", closed);
  call.on("close", closed);
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
      details: `Certificate is of ${node === undefined ? "no node" : `node "${node}"`}, not of node "${hello.node}"`,
    };
  if (hello.protocolMin > PROTOCOL || hello.protocolMax < PROTOCOL)
    return {
      code: status.FAILED_PRECONDITION,
      details: `Agent speaks protocol ${hello.protocolMin} to ${hello.protocolMax}, this server ${PROTOCOL}`,
    };
  return undefined;
}

/** The node that the client certificate names. */
function nodeOf(call: Call): string | undefined {
  const name = call.getAuthContext().sslPeerCertificate?.subject?.CN;
  if (typeof name !== "string" || !name.startsWith(NODE_USER) || name === NODE_USER) return undefined;
  return name.slice(NODE_USER.length);
}
