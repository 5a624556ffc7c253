/**
 * Plans what `mesh connect` will write. In: facts. Out: steps, in the order in which they are done.
 *
 * All users of the store come first, so that no publisher gets its certificate before its permissions exist; then each cluster's
 * certificate; then the peers. A step whose result exists already is a "keep" and writes nothing.
 */
import { apiVersion, MESH_CLUSTERS, MESH_PEERS, type MeshCluster, type MeshPeer, type StoreSpec } from "@isthmus/kube";
import type { StoreFile } from "./facts/store-file.js";
import { keepsStore, signStore } from "./store-spec.js";

export type Action = "create" | "update" | "keep";

export type Step =
  | { readonly type: "user"; readonly action: Action; readonly cluster: string; readonly id: number }
  | {
      readonly type: "store";
      readonly action: Action;
      readonly cluster: string;
      readonly context: string;
      readonly object: StorePart;
    }
  | {
      readonly type: "peer";
      readonly action: Action;
      readonly cluster: string;
      readonly context: string;
      readonly object: MeshPeer;
    };

/** The part of a MeshCluster that connect writes. */
export interface StorePart {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  /** Endpoints, CA and the certificate that was signed from the cluster's request. */
  readonly spec: { readonly store: StoreSpec };
}

/** A cluster that passed the preflight. */
export interface Member {
  /** Name of the context. */
  readonly context: string;
  /** As read; its spec and its request decide what is written. */
  readonly cluster: MeshCluster;
  /** MeshPeers that it has. */
  readonly peers: readonly MeshPeer[];
  /** The store has its user with the right permissions, and the users file contains it. */
  readonly hasUser: boolean;
}

/**
 * `now`: a certificate with less than a third of its life left is signed anew. Throws STORE_REQUEST and PKI_REQUEST.
 */
export async function planConnect(members: readonly Member[], file: StoreFile, now: Date): Promise<readonly Step[]> {
  const users = members.map(
    ({ cluster, hasUser }): Step => ({
      type: "user",
      action: hasUser ? "keep" : "create",
      cluster: nameOf(cluster),
      id: cluster.spec.id,
    }),
  );
  const stores = await Promise.all(members.map((member) => storeStep(member, file, now)));
  const peers = members.flatMap((member) =>
    members.filter((other) => other !== member).map((other) => peerStep(member, other)),
  );
  return [...users, ...stores, ...peers];
}

async function storeStep({ context, cluster }: Member, file: StoreFile, now: Date): Promise<Step> {
  const have = cluster.spec.store;
  const kept = have !== undefined && keepsStore(cluster, have, file, now);
  const store = kept ? have : await signStore(cluster, file);
  const metadata = { name: nameOf(cluster) };
  return {
    type: "store",
    action: kept ? "keep" : have === undefined ? "create" : "update",
    cluster: nameOf(cluster),
    context,
    object: { apiVersion: apiVersion(MESH_CLUSTERS), kind: MESH_CLUSTERS.kind, metadata, spec: { store } },
  };
}

function peerStep({ context, cluster, peers }: Member, other: Member): Step {
  const { id, podCIDRs, serviceCIDRs } = other.cluster.spec;
  const spec = { id, podCIDRs, serviceCIDRs, uid: other.cluster.status?.uid ?? "" };
  const name = nameOf(other.cluster);
  const have = peers.find(({ metadata }) => metadata.name === name);
  const same = have !== undefined && isSame(have.spec, spec);
  return {
    type: "peer",
    action: same ? "keep" : have === undefined ? "create" : "update",
    cluster: nameOf(cluster),
    context,
    object: { apiVersion: apiVersion(MESH_PEERS), kind: MESH_PEERS.kind, metadata: { name }, spec },
  };
}

function isSame(a: MeshPeer["spec"], b: MeshPeer["spec"]): boolean {
  const sorted = (list: readonly string[] | undefined) => [...(list ?? [])].sort().join();
  return (
    a.id === b.id &&
    a.uid === b.uid &&
    sorted(a.podCIDRs) === sorted(b.podCIDRs) &&
    sorted(a.serviceCIDRs) === sorted(b.serviceCIDRs)
  );
}

function nameOf({ metadata }: MeshCluster): string {
  return metadata.name ?? "";
}
