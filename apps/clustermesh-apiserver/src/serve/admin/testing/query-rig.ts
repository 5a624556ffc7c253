/** Agents that answer queries and readers of the admin API, over real gRPC on both sides: mutual TLS for agents. */
import type { TestContext } from "node:test";
import {
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  type ServiceError,
  type status,
} from "@grpc/grpc-js";
import { parseClusterId, systemClock } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { AdminClient, type AgentMessage, type QueryAnswer, type QueryMessage, StatusResponse } from "@isthmus/proto";
import { waitFor as waitWithin } from "@isthmus/runtime";
import { createFakeSources } from "../../../testing/fake-source.js";
import { createMeshTls, type MeshTls } from "../../../testing/mesh-tls.js";
import { serveStream } from "../../../testing/serve-stream.js";
import type { AgentQueries } from "../../agents/agent-queries.js";
import { watchTlsFiles } from "../../grpc/tls-files.js";
import type { AdminAuth } from "../admin-auth.js";
import { adminError } from "../admin-error.js";
import { type AdminServerModules, startAdminServer } from "../admin-server.js";
import type { MonitorNode } from "../monitor.js";

/** For tests that would wait for ever. */
export const LIMIT = { timeout: 60_000 };

export const waitFor = (what: string, check: () => boolean | Promise<boolean>) =>
  waitWithin(what, check, { timeoutMs: 20_000 });

export interface QueryRig {
  readonly tls: MeshTls;
  readonly queries: AgentQueries;
  /** `refuse`: what every call is answered with; `asked`: the rights that were needed. */
  readonly access: { refuse: status | undefined; readonly asked: readonly string[] };
  /** Port of the admin API. */
  readonly adminPort: number;
  closeAdmin(graceMs: number): Promise<void>;
  /** Opens a stream for queries with the node's certificate, and this name in the hello; "": none is sent. */
  agent(node: string, hello?: string): Promise<TestQueries>;
  /** Calls the admin API. */
  read<Response>(call: (client: AdminClient) => ClientReadableStream<Response>): TestReader<Response>;
}

/** An agent's end of a stream for queries. */
export interface TestQueries {
  readonly received: readonly QueryMessage[];
  readonly error: ServiceError | undefined;
  readonly ended: boolean;
  send(message: NonNullable<AgentMessage["message"]>): void;
  /** Answers the query; by default it is the first of the stream, and more follows. */
  answer(answer: Partial<QueryAnswer>): void;
  /** What was received, by name. */
  cases(): readonly (string | undefined)[];
  close(): void;
}

export interface TestReader<Response> {
  readonly responses: readonly Response[];
  readonly error: ServiceError | undefined;
  readonly ended: boolean;
  cancel(): void;
  pause(): void;
  resume(): void;
}

/** Nodes: w1 and w2 connected, w3 not. */
export async function startQueryRig(t: TestContext, modules: Partial<AdminServerModules> = {}): Promise<QueryRig> {
  const tls = await createMeshTls();
  const { port, queries } = await serveStream({ after: (work) => t.after(work) }, tls);
  const files = watchTlsFiles(tls.folder, silentLogger);
  const asked: string[] = [];
  const access = { refuse: undefined as status | undefined, asked };
  const auth: AdminAuth = {
    async check(_, right) {
      asked.push(right);
      if (access.refuse !== undefined) throw adminError(access.refuse, "not you");
    },
    close: () => undefined,
  };
  const nodes: MonitorNode[] = ["w1", "w2", "w3"].map((node) => ({ node, connected: node !== "w3" }));
  const admin = await startAdminServer(
    { address: "127.0.0.1:0", clusterId: parseClusterId(1), cluster: "east" },
    {
      ...{ auth, tls: files, log: silentLogger, clock: systemClock, sources: createFakeSources() },
      status: () => StatusResponse.create(),
      monitor: { queries, nodes: () => nodes },
      ...modules,
    },
  );
  t.after(async () => {
    await admin.close(100);
    files.close();
    tls.remove();
  });
  return {
    ...{ tls, queries, access, adminPort: admin.port },
    closeAdmin: (graceMs) => admin.close(graceMs),
    agent: (node, hello = node) => connectQueries(t, { port, tls, node, hello }),
    read: (call) =>
      read(t, new AdminClient(`127.0.0.1:${admin.port}`, credentials.createSsl(Buffer.from(tls.ca))), call),
  };
}

async function connectQueries(
  t: TestContext,
  { port, tls, node, hello }: { port: number; tls: MeshTls; node: string; hello: string },
): Promise<TestQueries> {
  const pair = await tls.node(node);
  const secrets = credentials.createSsl(Buffer.from(pair.ca), Buffer.from(pair.key), Buffer.from(pair.certificate));
  const client = new AdminClient(`127.0.0.1:${port}`, secrets);
  const call: ClientDuplexStream<AgentMessage, QueryMessage> = client.serve();
  const { received, state } = collect<QueryMessage>(call);
  const close = () => {
    call.cancel();
    client.close();
  };
  t.after(close);
  const send: TestQueries["send"] = (message) => void call.write({ message });
  if (hello !== "") send({ $case: "hello", value: { node: hello, version: "test" } });
  return Object.assign(state, {
    ...{ received, send, close },
    answer: (answer: Partial<QueryAnswer>) =>
      send({ $case: "answer", value: { id: 1, last: false, problem: "", part: undefined, ...answer } }),
    cases: () => received.map(({ message }) => message?.$case),
  });
}

function read<Response>(
  t: TestContext,
  client: AdminClient,
  start: (client: AdminClient) => ClientReadableStream<Response>,
): TestReader<Response> {
  const call = start(client);
  const { received, state } = collect<Response>(call);
  t.after(() => {
    call.cancel();
    client.close();
  });
  return Object.assign(state, {
    responses: received,
    cancel: () => call.cancel(),
    pause: () => void call.pause(),
    resume: () => void call.resume(),
  });
}

/** Everything that comes on a stream. */
function collect<Message>(call: NodeJS.EventEmitter) {
  const received: Message[] = [];
  const state = { error: undefined as ServiceError | undefined, ended: false };
  call.on("data", (message: Message) => void received.push(message));
  call.on("end", () => {
    state.ended = true;
  });
  call.on("error", (error: ServiceError) => {
    state.error = error;
  });
  return { received, state };
}
