/** Gathers what `mesh connect` must know of one cluster before it decides anything. Never throws: a failure is recorded as a fact. */
import { type KubeClient, MESH_PEERS, type MeshCluster, type MeshPeer } from "@isthmus/kube";
import { MeshError } from "@isthmus/model";
import type { StoreEndpointReport } from "@isthmus/proto";
import { waitWithin } from "@isthmus/runtime";
import { openAdmin } from "../../access/admin.js";
import { adviceFor, type Problem } from "../../access/advice.js";
import type { Context } from "../../access/context.js";
import { noSuchKind, readMeshCluster } from "../../access/mesh-objects.js";
import { missingPermissions } from "./permissions.js";

export interface ClusterFacts {
  /** Name of the context. */
  readonly context: string;
  /** Why the Kubernetes API does not answer; if set, nothing else is known. */
  readonly unreachable?: Problem;
  /** `v1.34.4` */
  readonly kubernetes: string;
  /** Permissions that this kubeconfig lacks: `patch meshclusters.mesh.isthmus.io`, … */
  readonly missing: readonly string[] | Unknown;
  /** Undefined when there is none, or when there are several (`clusterProblem`). */
  readonly cluster?: MeshCluster;
  /** Why the MeshCluster is not known although Kubernetes answers. */
  readonly clusterProblem?: string;
  /** MeshPeers that it has; empty when the kind does not exist yet. */
  readonly peers: readonly MeshPeer[];
  /** The store's endpoints as this cluster's apiserver reports them. */
  readonly store: readonly StoreEndpointReport[] | Unknown;
}

/** A fact that could not be determined, and why. */
export interface Unknown {
  /** One sentence. */
  readonly unknown: string;
}

/** True for a fact that has a reason in place of a value. */
export function isUnknown<T extends object>(value: T | Unknown): value is Unknown {
  return "unknown" in value;
}

export interface GatherOptions {
  /** The store's, https URLs from the store file. */
  readonly endpoints: readonly string[];
  /** PEM of the store's CA. */
  readonly ca: string;
  /** How long to wait for a new apiserver's MeshCluster and certificate request. */
  readonly patienceMs: number;
  /** Cancels every call; those of a context are cancelled by its own signal. */
  readonly signal: AbortSignal;
  /** How the admin API is opened; `openAdmin` unless given. */
  readonly admin?: typeof openAdmin;
}

/** Waits up to `patienceMs` for a MeshCluster and its request. */
export async function gatherCluster(context: Context, options: GatherOptions): Promise<ClusterFacts> {
  const { client, name } = context;
  const bare = { context: name, kubernetes: "", missing: [], peers: [], store: { unknown: "it was not asked" } };
  try {
    const version = await client.transport.json<{ gitVersion?: string }>({
      method: "GET",
      path: "/version",
      timeoutMs: 5000,
    });
    const [missing, found, peers] = await Promise.all([
      missingPermissions(client).catch(unknown),
      settledCluster(client, options),
      client.list<MeshPeer>(MESH_PEERS).catch(noSuchKind),
    ]);
    const store =
      found.cluster === undefined
        ? { unknown: "it has no MeshCluster" }
        : await askStore(client, found.cluster, options);
    return { context: name, kubernetes: version.gitVersion ?? "", missing, ...found, peers, store };
  } catch (thrown) {
    const error = MeshError.from(thrown);
    return { ...bare, unreachable: { message: error.message, fix: adviceFor(error, name) } };
  }
}

/** Waits up to `patienceMs` for a MeshCluster with a certificate request; then returns what there is. */
async function settledCluster(
  client: KubeClient,
  { patienceMs, signal }: GatherOptions,
): Promise<Pick<ClusterFacts, "cluster" | "clusterProblem">> {
  let cluster: MeshCluster | undefined;
  async function isSettled(): Promise<boolean> {
    cluster = await readMeshCluster(client);
    return cluster?.status?.storeRequest !== undefined;
  }
  try {
    await waitWithin(isSettled, { timeoutMs: patienceMs, everyMs: 250, signal });
    return cluster === undefined ? {} : { cluster };
  } catch (thrown) {
    if (!(thrown instanceof MeshError) || thrown.code !== "MESH_CLUSTERS") throw thrown;
    return { clusterProblem: thrown.message };
  }
}

async function askStore(
  client: KubeClient,
  cluster: MeshCluster,
  { endpoints, ca, signal, admin = openAdmin }: GatherOptions,
): Promise<ClusterFacts["store"]> {
  try {
    const api = await admin(client, cluster, signal);
    try {
      return (await api.checkStore({ endpoints: [...endpoints], ca })).endpoints;
    } finally {
      api.close();
    }
  } catch (thrown) {
    return unknown(thrown);
  }
}

function unknown(thrown: unknown): Unknown {
  return { unknown: MeshError.from(thrown).message };
}
