/**
 * The admin API of one cluster's clustermesh-apiserver.
 *
 * Access: a short-lived token for mesh-system/mesh-cli, requested with the kubeconfig's credential; addresses from the ConfigMap
 * mesh-config and from the MeshCluster's status; the server's CA from the ConfigMap. Every failure is an ADMIN error whose
 * sentence says what to check.
 */
import { type ClientUnaryCall, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { ADMIN_AUDIENCE, type KubeClient, type MeshCluster, requestToken } from "@isthmus/kube";
import { MeshError } from "@isthmus/model";
import {
  AdminClient,
  type CheckStoreRequest,
  type CheckStoreResponse,
  type DiffPoliciesRequest,
  type DiffPoliciesResponse,
  type DumpRequest,
  type ExplainPolicyRequest,
  type ExplainPolicyResponse,
  type ExplainServiceRequest,
  type ExplainServiceResponse,
  type ListIdentitiesRequest,
  type ListIdentitiesResponse,
  type ListPoliciesRequest,
  type ListPoliciesResponse,
  type ListServicesRequest,
  type ListServicesResponse,
  type MapRows,
  type MonitoredNode,
  type MonitorRequest,
  MonitorState,
  type StatusRequest,
  type StatusResponse,
} from "@isthmus/proto";
import { dumpFromServers } from "./admin-dump.js";
import { adminError, isSilence, noAnswer, refused } from "./admin-errors.js";
import { type MonitorListener, monitorServers } from "./admin-monitor.js";
import { type AdminConnection, DEADLINE_MS } from "./admin-stream.js";
import { CLI_ACCOUNT, MESH_NAMESPACE, readMeshConfig } from "./mesh-objects.js";
import { plainWords } from "./plain-words.js";

export interface AdminApi {
  /** Of the instance that publishes, else of any that answers; 5 s for each. */
  status(request: StatusRequest): Promise<StatusResponse>;
  /** All frontends of a namespace, "" = of the cluster, as that cluster merges them; 5 s for each server. */
  listServices(request: ListServicesRequest): Promise<ListServicesResponse>;
  /**
   * A Service, and what the maps of a pod's node hold of it, from the server that the node's agent is connected to; 5 s for each
   * server.
   */
  explainService(request: ExplainServiceRequest): Promise<ExplainServiceResponse>;
  /** All policies of a namespace, "" = of the cluster; 5 s for each server. */
  listPolicies(request: ListPoliciesRequest): Promise<ListPoliciesResponse>;
  /** Whose verdicts a change of policies would flip; 30 s for each server, as it may wait for others. */
  diffPolicies(request: DiffPoliciesRequest): Promise<DiffPoliciesResponse>;
  /** All identities of pods of a namespace, "" = of all, of this cluster and its peers; 5 s for each server. */
  listIdentities(request: ListIdentitiesRequest): Promise<ListIdentitiesResponse>;
  /** Of the server that the agent of the pod's node is connected to, else of any that answers; 5 s for each. */
  explainPolicy(request: ExplainPolicyRequest): Promise<ExplainPolicyResponse>;
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

const TOKEN_SECONDS = 600;
const CHECK_DEADLINE_MS = 15_000;
const DIFF_DEADLINE_MS = 30_000;

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
        if (!signal.aborted && !isSilence(error) && first === undefined) throw refused(name, error);
        failures.push(
          `${address} (${signal.aborted ? MeshError.from(signal.reason).message : plainWords(error.details)})`,
        );
      }
    }
    if (first !== undefined) return first;
    throw noAnswer(name, failures);
  }

  const connection: AdminConnection = { name, clients, metadata, renew, signal };
  return {
    monitor: (request, listener) => monitorServers(connection, request, listener),
    dump: (request, rows) => dumpFromServers(connection, request, rows),
    servers: addresses,
    // Prefer the instance that publishes: the state of the other one is not that of the cluster.
    status: (request) =>
      ask(
        (client, deadline, done) => client.status(request, metadata, { deadline }, done),
        DEADLINE_MS,
        ({ leader }) => leader,
      ),
    listServices: (request) =>
      ask((client, deadline, done) => client.listServices(request, metadata, { deadline }, done), DEADLINE_MS),
    explainService: (request) =>
      ask(
        (client, deadline, done) => client.explainService(request, metadata, { deadline }, done),
        DEADLINE_MS,
        ({ node }) => node === undefined || isAnswered(node),
      ),
    listPolicies: (request) =>
      ask((client, deadline, done) => client.listPolicies(request, metadata, { deadline }, done), DEADLINE_MS),
    diffPolicies: (request) =>
      ask((client, deadline, done) => client.diffPolicies(request, metadata, { deadline }, done), DIFF_DEADLINE_MS),
    listIdentities: (request) =>
      ask((client, deadline, done) => client.listIdentities(request, metadata, { deadline }, done), DEADLINE_MS),
    explainPolicy: (request) =>
      ask(
        (client, deadline, done) => client.explainPolicy(request, metadata, { deadline }, done),
        DEADLINE_MS,
        ({ node }) => node === undefined || node.state === MonitorState.MONITOR_STATE_HEARD,
      ),
    checkStore: (request) =>
      ask((client, deadline, done) => client.checkStore(request, metadata, { deadline }, done), CHECK_DEADLINE_MS),
    close() {
      for (const { client } of clients) client.close();
    },
  };
}

/** The agent of the node has answered this server, or refused; another server does not have its stream. */
function isAnswered({ state }: MonitoredNode): boolean {
  return state === MonitorState.MONITOR_STATE_HEARD || state === MonitorState.MONITOR_STATE_UNAVAILABLE;
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

function list(text: string | undefined): readonly string[] {
  return (text ?? "")
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}
