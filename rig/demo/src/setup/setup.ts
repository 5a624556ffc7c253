/**
 * Sets up the demo on a running rig: connects the clusters, deploys, annotates, and starts the client until every request is
 * answered.
 *
 * Invariant: the client starts only when the mesh is in sync, and the set-up ends only after three seconds without a loss.
 */
import {
  CILIUM_NETWORK_POLICIES,
  DEPLOYMENTS,
  type KubeObject,
  type KubeService,
  NAMESPACES,
  PODS,
  SERVICES,
} from "@isthmus/kube";
import { DEMO_TAG } from "@isthmus/lab";
import { waitFor } from "@isthmus/runtime";
import { followClient } from "../drive/follow-client.js";
import type { ClusterAccess } from "../drive/mesh-world.js";
import { NEAR } from "../judge/clusters.js";
import { createSampleLog, type SampleLog } from "../samples/log.js";
import {
  addressOf,
  CLIENT,
  clientPod,
  DENIED,
  deniedPod,
  deployment,
  meshAnnotations,
  NAMESPACE,
  namespace,
  policy,
  SERVICE,
  service,
} from "./objects.js";
import { isQuiet, lastOutcomes } from "./warm-up.js";

export interface LoadOptions {
  readonly clusters: ReadonlyMap<string, ClusterAccess>;
  /** Requests a second. */
  readonly rate: number;
  readonly say: (sentence: string) => void;
  readonly signal: AbortSignal;
}

export interface SetupOptions extends LoadOptions {
  /** Runs the CLI: `mesh connect …`. Rejects when the exit code is not 0. */
  readonly mesh: (...args: readonly string[]) => Promise<void>;
  /** For how long the servers answer after SIGTERM; 0: they exit at once. */
  readonly lingerMs: number;
}

export interface RunningLoad {
  readonly log: SampleLog;
  readonly clientNode: string;
  /** Of the clients that the policy does not admit, one in each cluster. */
  readonly denied: readonly SampleLog[];
  /** Settles when no client's output is read any more; never rejects. */
  readonly following: Promise<unknown>;
}

interface Pod extends KubeObject {
  readonly spec?: { readonly nodeName?: string };
  readonly status?: { readonly phase?: string };
}

/** Longer than the removal of a pod from the EndpointSlices takes to propagate. */
export const GRACEFUL_LINGER_MS = 5000;

export async function setUp(options: SetupOptions): Promise<RunningLoad> {
  const { mesh, clusters, say } = options;
  const names = [...clusters.keys()];
  say(`$ mesh connect ${names.join(" ")}`);
  await Promise.all([mesh("connect", ...names), ...[...clusters.values()].map((cluster) => deploy(options, cluster))]);
  say(`Services ${NAMESPACE}/${SERVICE} become global, affinity local`);
  for (const { client } of clusters.values()) {
    const patch = { metadata: { annotations: meshAnnotations } };
    await client.mergePatch(SERVICES, SERVICE, patch, { namespace: NAMESPACE });
  }
  say("$ mesh status --wait");
  await mesh("status", "--wait");
  await Promise.all([...clusters.values()].map((cluster) => untilEnforced(options, cluster)));
  const denied = await Promise.all([...clusters.values()].map((cluster) => startDenied(options, cluster)));
  say(`A client in each cluster that the policy ${NAMESPACE}/${SERVICE} does not admit tries all the time`);
  const client = await startClient(options);
  return {
    ...client,
    denied: denied.map(({ log }) => log),
    following: Promise.all([client, ...denied].map(({ following }) => following)),
  };
}

async function deploy({ signal, say, lingerMs }: SetupOptions, { client, name, slices }: ClusterAccess): Promise<void> {
  const manager = { manager: "demo", force: true };
  await client.apply(NAMESPACES, namespace, manager);
  await client.apply(CILIUM_NETWORK_POLICIES, policy, manager);
  await client.apply(SERVICES, service, manager);
  await client.apply(DEPLOYMENTS, deployment(name, DEMO_TAG, lingerMs), manager);
  await waitFor(`three ready pods in "${name}"`, () => slices.current().length === 3, {
    timeoutMs: 90_000,
    everyMs: 200,
    signal,
  });
  say(`${name}: three replicas are Ready`);
}

interface Enforced extends KubeObject {
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message: string }[];
  };
}

/** A policy takes effect some time after it was applied, as any: its condition says when all nodes enforce it. */
async function untilEnforced({ say, signal }: LoadOptions, { client, name }: ClusterAccess): Promise<void> {
  let seen = "no condition yet";
  const enforced = async () => {
    const found = await client.get<Enforced>(CILIUM_NETWORK_POLICIES, SERVICE, { namespace: NAMESPACE });
    const condition = found?.status?.conditions?.find(({ type }) => type === "mesh.isthmus.io/Enforced");
    seen = condition?.message ?? seen;
    return condition?.status === "True";
  };
  const limits = { timeoutMs: 60_000, everyMs: 200, signal, reason: () => seen };
  await waitFor(`all nodes of "${name}" to enforce policy ${NAMESPACE}/${SERVICE}`, enforced, limits);
  say(`${name}: all nodes enforce the policy ${NAMESPACE}/${SERVICE}`);
}

interface StartedClient {
  readonly log: SampleLog;
  /** Settles when its output is no longer read; never rejects. */
  readonly following: Promise<void>;
}

async function startDenied({ signal }: LoadOptions, cluster: ClusterAccess): Promise<StartedClient> {
  const { client } = cluster;
  const target = addressOf(await client.get<KubeService>(SERVICES, SERVICE, { namespace: NAMESPACE }));
  await removeClient(cluster, DENIED, signal);
  await client.create(PODS, deniedPod(DEMO_TAG, target));
  return follow(cluster, DENIED, signal);
}

function follow({ transport }: ClusterAccess, pod: string, signal: AbortSignal): StartedClient {
  const log = createSampleLog();
  return { log, following: followClient(transport, `/api/v1/namespaces/${NAMESPACE}/pods/${pod}`, log, signal) };
}

/** Replaces the client of an earlier load, if there is one. */
async function startClient(options: LoadOptions): Promise<StartedClient & Pick<RunningLoad, "clientNode">> {
  const { clusters, signal, rate, say } = options;
  const near = clusters.get(NEAR);
  if (near === undefined) throw new Error(`Cannot find cluster "${NEAR}"`);
  const { client } = near;
  const target = addressOf(await client.get<KubeService>(SERVICES, SERVICE, { namespace: NAMESPACE }));
  await removeClient(near, CLIENT, signal);
  await client.create(PODS, clientPod(DEMO_TAG, target, rate));
  const { log, following } = follow(near, CLIENT, signal);
  const limits = { timeoutMs: 60_000, everyMs: 200, signal };
  await waitFor(`three seconds without a loss at ${target}`, () => isQuiet(log), limits).catch((error: Error) => {
    throw new Error(`${error.message}; ${lastOutcomes(log)}`);
  });
  const pod = await client.get<Pod>(PODS, CLIENT, { namespace: NAMESPACE });
  say(`The client on "${pod?.spec?.nodeName}" makes ${rate} new connections a second to ${target}`);
  return { log, clientNode: pod?.spec?.nodeName ?? "", following };
}

async function removeClient({ client }: ClusterAccess, pod: string, signal: AbortSignal): Promise<void> {
  const target = { namespace: NAMESPACE };
  const gone = async () => (await client.get(PODS, pod, target)) === undefined;
  await client.delete(PODS, pod, target);
  await waitFor(`the last demo's pod "${pod}" to end`, gone, { timeoutMs: 30_000, everyMs: 200, signal });
}
