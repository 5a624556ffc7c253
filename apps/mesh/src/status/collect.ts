/** One look at every cluster: its peers as its own API holds them, and what its apiserver reports. Never throws for a cluster. */
import { MESH_PEERS, type MeshPeer } from "@isthmus/kube";
import { MeshError } from "@isthmus/model";
import type { StatusResponse } from "@isthmus/proto";
import { openAdmin } from "../access/admin.js";
import type { Context } from "../access/context.js";
import { noSuchKind, readMeshCluster } from "../access/mesh-objects.js";

export interface ClusterView {
  readonly context: string;
  /** Cluster name; the context's name while nothing better is known. */
  readonly cluster: string;
  /** Undefined when the context holds no MeshCluster. */
  readonly id?: number;
  readonly peers: readonly { readonly name: string; readonly id: number }[];
  /** Undefined when the apiserver could not be asked: `problem` says why. */
  readonly report?: StatusResponse;
  readonly problem?: string;
}

/** Undefined: a cluster that is reachable and no member. */
export async function viewCluster({ name, client }: Context, signal: AbortSignal): Promise<ClusterView | undefined> {
  let view: ClusterView = { context: name, cluster: name, peers: [] };
  try {
    const cluster = await readMeshCluster(client);
    if (cluster === undefined) return undefined;
    const peers = await client.list<MeshPeer>(MESH_PEERS).catch(noSuchKind);
    view = {
      context: name,
      cluster: cluster.metadata.name ?? name,
      id: cluster.spec.id,
      peers: peers.map(({ metadata, spec }) => ({ name: metadata.name ?? "", id: spec.id })),
    };
    const admin = await openAdmin(client, cluster, signal);
    try {
      return { ...view, report: await admin.status() };
    } finally {
      admin.close();
    }
  } catch (thrown) {
    return { ...view, problem: MeshError.from(thrown).message };
  }
}
