/**
 * An apiserver's stream for tests of the agent: real gRPC with mutual TLS inside the node's namespace, with records from the
 * test. An agent that connects gets a complete first sync of each source, then every change.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createAuthority, issue, writeCertificate, writePair } from "@isthmus/pki";
import { type Ack, type Hello, PeerState, ToAgent, ToServer } from "@isthmus/proto";
import type { RecordSource } from "@isthmus/testing";
import type { Notice, Order } from "./stream-process.js";

export const SERVER = "127.0.0.1:7443";

export interface StreamServer {
  readonly hellos: readonly Hello[];
  /** Acks since the last Hello. */
  readonly acks: readonly Ack[];
  /** Sends a message to all connected agents. */
  send(message: ToAgent): void;
  /** Ends all streams and refuses new ones. */
  stop(): void;
  /** Listens again. */
  start(): Promise<void>;
  close(): Promise<void>;
}

export interface StreamServerOptions {
  readonly netns: string;
  readonly node: string;
  /** The folder to which an agent's ca.crt, tls.crt and tls.key are written. */
  readonly tlsDir: string;
  readonly sources: readonly { readonly name: string; readonly source: RecordSource }[];
}

export async function startStreamServer(options: StreamServerOptions): Promise<StreamServer> {
  const authority = await createAuthority("mesh ca of test");
  const pair = await issue(authority, {
    cn: "apiserver",
    sans: ["clustermesh-apiserver.mesh-system.svc"],
    usages: ["server"],
  });
  const client = await issue(authority, { cn: `system:mesh-node:${options.node}`, usages: ["client"] });
  await writePair(options.tlsDir, "tls", client);
  await writeCertificate(join(options.tlsDir, "ca.crt"), authority.certificate);
  const main = fileURLToPath(new URL("./stream-process.js", import.meta.url));
  const child = spawn("nsenter", [`--net=/run/netns/${options.netns}`, process.execPath, main], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    serialization: "advanced",
  });
  const hellos: Hello[] = [];
  const acks: Ack[] = [];
  const order = (what: Order) => void child.send(what);
  const send = (message: ToAgent) => order({ is: "write", message: ToAgent.encode(message).finish() });

  function greet(hello: Hello): void {
    hellos.push(hello);
    acks.length = 0;
    const value = { instance: "test", servers: [SERVER], protocol: 1, cluster: "east", clusterId: 1 };
    send({ message: { $case: "welcome", value } });
    for (const { name, source } of options.sources) {
      const state = { clusterId: source.clusterId, cluster: name, behind: false, hops: [] };
      send({ message: { $case: "sourceState", value: { ...state, status: PeerState.PEER_STATE_IN_SYNC } } });
    }
    for (const { source } of options.sources) source.firstSync(50).forEach(send);
  }

  child.on("message", (notice: Notice) => {
    if (notice.is !== "heard") return;
    const { message } = ToServer.decode(notice.message);
    if (message?.$case === "hello") greet(message.value);
    if (message?.$case === "ack") acks.push(message.value);
  });

  async function start(): Promise<void> {
    const { certificate, key } = pair;
    order({ is: "listen", port: 7443, ca: authority.certificate, certificate, key });
    await listening(child);
  }

  await start();
  return {
    hellos,
    acks,
    send,
    start,
    stop: () => order({ is: "stop" }),
    async close() {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}

function listening(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("exit", () => reject(new Error("the server's process ended")));
    const hear = (notice: Notice) => {
      if (notice.is !== "listening") return;
      child.off("message", hear);
      resolve();
    };
    child.on("message", hear);
  });
}
