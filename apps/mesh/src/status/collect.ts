/** Reads the state of every cluster: MeshPeers from its Kubernetes API, and its apiserver's report. Never throws for a cluster. */
import { MESH_PEERS, type MeshCluster, type MeshPeer } from "@isthmus/kube";
import { MeshError } from "@isthmus/model";
import type { StatusResponse } from "@isthmus/proto";
import { openAdmin } from "../access/admin.js";
import { adviceFor, type Problem } from "../access/advice.js";
import type { Context } from "../access/context.js";
import { type LabelFilterOf, labelFilterOf } from "../access/label-filters.js";
import {
  CONFIG_NAME,
  configProblem,
  MESH_NAMESPACE,
  noSuchKind,
  readMeshCluster,
  readMeshConfig,
} from "../access/mesh-objects.js";
import { kubectl } from "../output/units.js";

export interface ClusterView {
  /** Name of the context. */
  readonly context: string;
  /** Cluster name; the context's name when the cluster's is unknown. */
  readonly cluster: string;
  /** Undefined when the MeshCluster could not be read. */
  readonly id?: number;
  /** Identical in every context of the cluster. */
  readonly uid?: string;
  /** Names and ids of its MeshPeers. */
  readonly peers: readonly { readonly name: string; readonly id: number }[];
  /** Undefined when the apiserver did not answer: `problem` has the reason. */
  readonly report?: StatusResponse;
  /** Undefined when the MeshCluster could not be read. */
  readonly labelFilter?: LabelFilterOf;
  /** Why the view is not complete. */
  readonly problem?: Problem;
  /** True when the cluster was read and has neither a MeshCluster nor a mesh-config. */
  readonly noMesh?: boolean;
  /** True for a member that is installed wrongly: it has several MeshClusters, or a mesh-config and none. */
  readonly misinstalled?: boolean;
  /** Why its mesh-config is not in force. */
  readonly configProblem?: string;
}

/** Time-out of the first call: an unreachable context must not use up the time-out of the whole status. */
const FIRST_MS = 5_000;

/** The view of a context that could not be opened. */
export function unreadableView(context: string, error: MeshError): ClusterView {
  const problem = { message: error.message, fix: adviceFor(error, context) };
  return { context, cluster: context, peers: [], problem };
}

/** What could not be read is missing, with its `problem`. `figures`: with those of nodes. */
export async function viewCluster(
  { name, client }: Context,
  figures: boolean,
  signal: AbortSignal,
): Promise<ClusterView> {
  let view: ClusterView = { context: name, cluster: name, peers: [] };
  try {
    const cluster = await readMeshCluster(client, FIRST_MS);
    if (cluster === undefined) {
      // Without the right to read the ConfigMap it counts as a cluster without the mesh.
      const config = await readMeshConfig(client).catch(() => undefined);
      if (config !== undefined) return { ...view, misinstalled: true, problem: noMeshCluster(name) };
      return { ...view, noMesh: true, problem: noMesh(name) };
    }
    const unusable = configProblem(cluster);
    const peers = await client.list<MeshPeer>(MESH_PEERS).catch(noSuchKind);
    view = {
      context: name,
      cluster: cluster.metadata.name ?? name,
      id: cluster.spec.id,
      ...uidOf(cluster),
      labelFilter: labelFilterOf(cluster),
      peers: peers.map(({ metadata, spec }) => ({ name: metadata.name ?? "", id: spec.id })),
      ...(unusable === undefined ? {} : { configProblem: unusable }),
    };
    const admin = await openAdmin(client, cluster, signal);
    try {
      return { ...view, report: await admin.status({ figures }) };
    } finally {
      admin.close();
    }
  } catch (thrown) {
    const error = MeshError.from(thrown);
    const misinstalled = error.code === "MESH_CLUSTERS" ? { misinstalled: true } : {};
    return { ...view, ...misinstalled, problem: { message: error.message, fix: adviceFor(error, name) } };
  }
}

/** Its apiserver creates the object, and reports why it cannot. */
function noMeshCluster(context: string): Problem {
  const describe = `${kubectl(context)} -n ${MESH_NAMESPACE} describe configmap ${CONFIG_NAME}`;
  return {
    message: "it holds a mesh-config but no MeshCluster, so pods with new labels get no identity",
    fix: `see the Events: ${describe}; without any, see that its clustermesh-apiserver runs`,
  };
}

function noMesh(context: string): Problem {
  return {
    message: "it holds no MeshCluster",
    fix: `install the mesh first: ${kubectl(context)} apply -k deploy/base`,
  };
}

function uidOf({ metadata, status }: MeshCluster): { uid?: string } {
  const uid = metadata.uid ?? status?.uid;
  return uid === undefined ? {} : { uid };
}
