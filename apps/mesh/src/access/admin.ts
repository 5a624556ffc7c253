/**
 * The admin API of one cluster's clustermesh-apiserver.
 *
 * Access: a short-lived token for mesh-system/mesh-cli, requested with the kubeconfig's credential; addresses from the ConfigMap
 * mesh-config and from the MeshCluster's status; the server's CA from the ConfigMap. Every failure is an ADMIN error whose
 * sentence says what to check.
 */
import { type ClientUnaryCall, credentials, status as grpc, Metadata, type ServiceError } from "@grpc/grpc-js";
import { ADMIN_AUDIENCE, type KubeClient, type MeshCluster, requestToken } from "@isthmus/kube";
import { MeshError, systemClock } from "@isthmus/model";
import {
  AdminClient,
  type CheckStoreRequest,
  type CheckStoreResponse,
  type DumpRequest,
  type DumpResponse,
  type ListServicesRequest,
  type ListServicesResponse,
  type MapRows,
  type MonitoredNode,
  type MonitorRequest,
  type MonitorResponse,
  MonitorState,
  type StatusResponse,
} from "@isthmus/proto";
import { createBackoff, sleep } from "@isthmus/runtime";
import { CLI_ACCOUNT, MESH_NAMESPACE, readMeshConfig } from "./mesh-objects.js";
import { plainWords } from "./plain-words.js";

export interface AdminApi {
  /** Of the instance that publishes, else of any that answers; 5 s for each. */
  status(): Promise<StatusResponse>;
  /** All frontends of a namespace, "" = of the cluster, as that cluster merges them; 5 s for each server. */
  listServices(request: ListServicesRequest): Promise<ListServicesResponse>;
  /** Lets the cluster dial endpoints of a store; 15 s for each server, as it waits for dead endpoints. */
  checkStore(request: CheckStoreRequest): Promise<CheckStoreResponse>;
  /**
   * Events from every server, since each has the agents that are connected to it. A server that is lost is asked again.
   * Rejects when the first attempts fail at all servers, or one refuses; with the signal's reason when it aborts.
   */
  monitor(request: MonitorRequest, listener: MonitorListener): Promise<never>;
  /**
   * Rows of a map of a node, in parts, the last with a summary, from the server that its agent is connected to. Resolves with
   * HEARD when all came; otherwise with why not. Rejects with ADMIN when no server answers, or one refuses.
   */
  dump(request: DumpRequest, rows: (rows: MapRows) => void): Promise<MonitoredNode>;
  /** host:port of all servers. */
  readonly servers: readonly string[];
  /** Closes the connections to all servers. */
  close(): void;
}

export interface MonitorListener {
  /** A message of a server; the first names its nodes. */
  message(server: string, response: MonitorResponse): void;
  /** The server does not answer, or does not any more; it is asked again. */
  lost(server: string, reason: string): void;
}

const TOKEN_SECONDS = 600;
const DEADLINE_MS = 5_000;
const CHECK_DEADLINE_MS = 15_000;

/**
 * Throws ADMIN when the ConfigMap lacks the address or the CA, or when the token is refused. Does not connect yet.
 * `signal` cancels every call to the admin API; calls to Kubernetes are cancelled by the signal of `client`.
 */
export async function openAdmin(client: KubeClient, cluster: MeshCluster, signal: AbortSignal): Promise<AdminApi> {
  const name = cluster.metadata.name ?? "";
  const config = await readMeshConfig(client);
  const addresses = adminServers(config, cluster);
  const ca = config?.["admin-ca"];
  if (addresses.length === 0 || ca === undefined) {
    const missing = ca === undefined ? "admin-ca" : "admin-servers";
    throw adminError(
      name,
      `there is no "${missing}" in ConfigMap ${MESH_NAMESPACE}/mesh-config; is the mesh installed?`,
    );
  }
  const renew = () =>
    requestToken(client, MESH_NAMESPACE, CLI_ACCOUNT, TOKEN_SECONDS, [ADMIN_AUDIENCE]).then(
      ({ token }) => token,
      (cause: unknown) => {
        throw adminError(name, `no token for ${MESH_NAMESPACE}/${CLI_ACCOUNT}: ${(cause as Error).message}`, cause);
      },
    );
  return createAdminApi({ name, addresses, ca, token: await renew(), renew, signal });
}

/**
 * Addresses of the admin API, host:port. The ConfigMap and the status differ after addresses have changed, until
 * clustermesh-apiserver has written its status again, and after an edit of the ConfigMap that it has not read or cannot use.
 */
export function adminServers(
  config: Readonly<Record<string, string>> | undefined,
  cluster: MeshCluster,
): readonly string[] {
  return [...new Set([...list(config?.["admin-servers"]), ...(cluster.status?.adminServers ?? [])])];
}

/** The name in every server's certificate, at any address: addresses change, so TLS does not verify them. */
const SERVER_NAME = "clustermesh-apiserver.mesh-system.svc";
const CHANNEL = {
  "grpc.ssl_target_name_override": SERVER_NAME,
  "grpc.default_authority": SERVER_NAME,
  "grpc.max_receive_message_length": 64 << 20, // a list of 10,000 Services exceeds the default of 4 MiB
} as const;

export interface AdminOptions {
  /** Name of the cluster, for sentences. */
  readonly name: string;
  /** host:port, tried in this order. */
  readonly addresses: readonly string[];
  /** PEM. */
  readonly ca: string;
  /** Bearer token of mesh-system/mesh-cli. */
  readonly token: string;
  /** Another one, for a call that lasts longer than it; absent: such a call ends. */
  readonly renew?: () => Promise<string>;
  /** Ends every call. */
  readonly signal: AbortSignal;
}

/** Does not connect yet. Each call throws ADMIN when no server answers or one refuses. */
export function createAdminApi({ name, addresses, ca, token, renew, signal }: AdminOptions): AdminApi {
  const ssl = credentials.createSsl(Buffer.from(ca));
  const clients = addresses.map((address) => ({ address, client: new AdminClient(address, ssl, CHANNEL) }));
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${token}`);

  /** Returns the first answer that `willDo` accepts, or else the first answer. A refusal counts as an answer. */
  async function ask<T>(call: UnaryCall<T>, ms: number, willDo: (answer: T) => boolean = () => true): Promise<T> {
    const failures: string[] = [];
    let first: T | undefined;
    for (const { address, client } of clients) {
      if (signal.aborted && failures.length > 0) break;
      try {
        const answer = await untilAborted<T>((done) => call(client, new Date(Date.now() + ms), done), signal);
        if (willDo(answer)) return answer;
        first ??= answer;
      } catch (thrown) {
        const error = thrown as ServiceError;
        const silent = signal.aborted || error.code === grpc.UNAVAILABLE || error.code === grpc.DEADLINE_EXCEEDED;
        if (!silent && first === undefined) throw refused(name, error);
        failures.push(
          `${address} (${signal.aborted ? MeshError.from(signal.reason).message : plainWords(error.details)})`,
        );
      }
    }
    if (first !== undefined) return first;
    throw noAnswer(name, failures);
  }

  /** One stream; resolves with the error that ended it. */
  function monitorOnce(
    { address, client }: (typeof clients)[number],
    request: MonitorRequest,
    heard: (response: MonitorResponse) => void,
    over: AbortSignal,
  ): Promise<ServiceError> {
    return new Promise((resolve) => {
      const call = client.monitor(request, metadata);
      const cancel = () => call.cancel();
      // A server that accepts the connection and says nothing is as one that does not answer.
      const silent = setTimeout(cancel, DEADLINE_MS);
      over.addEventListener("abort", cancel, { once: true });
      const end = (error: ServiceError) => {
        clearTimeout(silent);
        over.removeEventListener("abort", cancel);
        resolve(error);
      };
      call.on("data", (response: MonitorResponse) => {
        clearTimeout(silent);
        heard(response);
      });
      call.on("error", end);
      call.on("end", () => end(Object.assign(new Error(address), ENDED)));
    });
  }

  /** Listens to one server until `over` aborts. Throws what it refuses for. */
  async function follow(
    server: (typeof clients)[number],
    request: MonitorRequest,
    { message, lost }: MonitorListener,
    over: AbortSignal,
  ): Promise<never> {
    const backoff = createBackoff({ minMs: 500, maxMs: 5000 });
    /** Its loss was not reported yet. */
    let isNew = true;
    let wasDenied = false;
    for (;;) {
      const error = await monitorOnce(
        server,
        request,
        (response) => {
          backoff.reset();
          [isNew, wasDenied] = [true, false];
          message(server.address, response);
        },
        over,
      );
      over.throwIfAborted();
      const isDenied = error.code === grpc.UNAUTHENTICATED;
      // Its time may be over: a new one that is denied too is no matter of time.
      if (REFUSALS.has(error.code) || (isDenied && (wasDenied || renew === undefined))) throw refused(name, error);
      const problem = isDenied ? await renewToken() : plainWords(error.details);
      if (problem !== undefined && isNew) lost(server.address, problem);
      [isNew, wasDenied] = [isNew && problem === undefined, isDenied && problem === undefined];
      if (problem !== undefined) await sleep(systemClock, backoff.nextMs(), over);
      over.throwIfAborted();
    }
  }

  /** Undefined: calls have another token from now on. Otherwise why there is none. */
  async function renewToken(): Promise<string | undefined> {
    try {
      if (renew !== undefined) metadata.set("authorization", `Bearer ${await renew()}`);
      return undefined;
    } catch (thrown) {
      return MeshError.from(thrown).message;
    }
  }

  async function monitor(request: MonitorRequest, listener: MonitorListener): Promise<never> {
    const failures = new Map<string, string>();
    const life = new AbortController();
    const over = AbortSignal.any([signal, life.signal]);
    let answered = false;
    try {
      return await new Promise<never>((_, reject) => {
        // What a listener throws ends the call, not the process.
        const attempt = (work: () => void) => {
          try {
            if (!over.aborted) work();
          } catch (thrown) {
            reject(thrown);
          }
        };
        const heard: MonitorListener = {
          message(server, response) {
            answered = true;
            attempt(() => listener.message(server, response));
          },
          lost(server, reason) {
            failures.set(server, `${server} (${reason})`);
            if (!answered && failures.size === clients.length) reject(noAnswer(name, [...failures.values()]));
            else attempt(() => listener.lost(server, reason));
          },
        };
        for (const client of clients) follow(client, request, heard, over).catch(reject);
      });
    } finally {
      life.abort(new MeshError({ code: "ENDED" }, "the command has ended"));
    }
  }

  /** One stream, until it ends; resolves with what was said last of the node, and the error that ended it. */
  function dumpOnce(
    client: AdminClient,
    request: DumpRequest,
    rows: (rows: MapRows) => void,
  ): Promise<{ readonly node: MonitoredNode | undefined; readonly error: ServiceError | undefined }> {
    return new Promise((resolve, reject) => {
      const call = client.dump(request, metadata);
      const cancel = () => call.cancel();
      const silent = setTimeout(cancel, DEADLINE_MS);
      let [node, isWhole]: [MonitoredNode | undefined, boolean] = [undefined, false];
      const end = (error: ServiceError | undefined) => {
        clearTimeout(silent);
        signal.removeEventListener("abort", cancel);
        const isBroken = error === undefined && node?.state === HEARD && !isWhole;
        resolve({ node, error: isBroken ? Object.assign(new Error(request.node), ENDED) : error });
      };
      if (signal.aborted) cancel();
      else signal.addEventListener("abort", cancel, { once: true });
      call.on("data", ({ message }: DumpResponse) => {
        clearTimeout(silent);
        try {
          if (message?.$case === "node") node = message.value;
          if (message?.$case !== "rows" || isWhole) return;
          isWhole = message.value.summary !== undefined;
          rows(message.value);
        } catch (thrown) {
          cancel();
          reject(thrown);
        }
      });
      call.on("error", end);
      call.on("end", () => end(undefined));
    });
  }

  async function dump(request: DumpRequest, rows: (rows: MapRows) => void): Promise<MonitoredNode> {
    const failures: string[] = [];
    let best: MonitoredNode | undefined;
    for (const { address, client } of clients) {
      const { node, error } = await dumpOnce(client, request, rows);
      signal.throwIfAborted();
      if (error !== undefined) {
        const silent =
          error.code === grpc.UNAVAILABLE || error.code === grpc.DEADLINE_EXCEEDED || error.code === grpc.CANCELLED;
        if (!silent) throw refused(name, error);
        failures.push(`${address} (${plainWords(error.details)})`);
        // Some rows may have come: another server would give them again.
        if (node?.state === HEARD) throw noAnswer(name, failures);
      } else if (node?.state === HEARD || node?.state === MonitorState.MONITOR_STATE_UNAVAILABLE) return node;
      else if (node !== undefined && (best === undefined || rankOf(node) < rankOf(best))) best = node;
    }
    if (best !== undefined) return best;
    throw noAnswer(name, failures);
  }

  return {
    monitor,
    dump,
    servers: addresses,
    // Prefer the instance that publishes: the state of the other one is not that of the cluster.
    status: () =>
      ask(
        (client, deadline, done) => client.status({}, metadata, { deadline }, done),
        DEADLINE_MS,
        ({ leader }) => leader,
      ),
    listServices: (request) =>
      ask((client, deadline, done) => client.listServices(request, metadata, { deadline }, done), DEADLINE_MS),
    checkStore: (request) =>
      ask((client, deadline, done) => client.checkStore(request, metadata, { deadline }, done), CHECK_DEADLINE_MS),
    close() {
      for (const { client } of clients) client.close();
    },
  };
}

/** A stream that the server ended in order: it shuts down. */
const ENDED = { code: grpc.UNAVAILABLE, details: "the server ended the stream", metadata: new Metadata() };
const HEARD = MonitorState.MONITOR_STATE_HEARD;

/** Of the servers that do not have the node's stream, the one that knows most of it is believed. */
function rankOf({ state }: MonitoredNode): number {
  if (state === MonitorState.MONITOR_STATE_NO_QUERIES) return 0;
  return state === MonitorState.MONITOR_STATE_NOT_CONNECTED ? 1 : 2;
}

/** Answers that asking again does not change. */
const REFUSALS: ReadonlySet<number> = new Set([
  grpc.PERMISSION_DENIED,
  grpc.UNIMPLEMENTED,
  grpc.INVALID_ARGUMENT,
  grpc.FAILED_PRECONDITION,
]);

function noAnswer(name: string, failures: readonly string[]): MeshError {
  return adminError(
    name,
    `no server answers: ${failures.join(", ")}. Check that clustermesh-apiserver runs in "${name}" and that its admin port can be reached from here`,
  );
}

type Callback<T> = (error: ServiceError | null, answer: T) => void;
type UnaryCall<T> = (client: AdminClient, deadline: Date, done: Callback<T>) => ClientUnaryCall;

function untilAborted<T>(start: (done: Callback<T>) => ClientUnaryCall, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const call = start((error, answer) => {
      signal.removeEventListener("abort", cancel);
      if (error === null) resolve(answer);
      else reject(error);
    });
    const cancel = () => call.cancel();
    if (signal.aborted) cancel();
    else signal.addEventListener("abort", cancel, { once: true });
  });
}

function refused(name: string, error: ServiceError): MeshError {
  const denied = error.code === grpc.UNAUTHENTICATED || error.code === grpc.PERMISSION_DENIED;
  const hint = denied
    ? `. Check the ServiceAccount ${MESH_NAMESPACE}/${CLI_ACCOUNT} and its ClusterRole (deploy/base)`
    : error.code === grpc.UNIMPLEMENTED
      ? ": its clustermesh-apiserver is of an older version than this command"
      : "";
  return adminError(name, `it answers ${grpc[error.code]}, "${error.details}"${hint}`, error, denied);
}

/** `refused`: the server answered and denied access. */
function adminError(cluster: string, why: string, cause?: unknown, refused = false): MeshError {
  return new MeshError(
    { code: "ADMIN", cluster, refused },
    `Cannot ask the admin API of cluster "${cluster}": ${why}`,
    { cause },
  );
}

function list(text: string | undefined): readonly string[] {
  return (text ?? "")
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}
