/** The peers that this cluster follows, and what they may claim. Both come from the operator (MeshPeer), never from the store. */
import type { ClusterId, ClusterName, Prefix } from "@isthmus/model";
import { prefixesOverlap } from "@isthmus/model";
import type { PeerLimits } from "@isthmus/records";

export interface PeerSpec {
  /** The name of its MeshPeer. */
  readonly cluster: ClusterName;
  /** Its number in the mesh, by which agents know the cluster. */
  readonly id: ClusterId;
  /** Every address of its pods must be in one of them. */
  readonly podCidrs: readonly Prefix[];
  /** No other peer may claim an address in them, unless its own ranges overlap them and it came first. */
  readonly serviceCidrs: readonly Prefix[];
  /** Uid of its kube-system namespace, as read by `mesh connect`; "" = not known. */
  readonly uid: string;
}

export interface LocalCluster {
  /** The name that no peer may have. */
  readonly cluster: ClusterName;
  /** The id that no peer may have. */
  readonly id: ClusterId;
  /** No peer may claim an address in them. */
  readonly podCidrs: readonly Prefix[];
  /** No peer may claim an address in them. */
  readonly serviceCidrs: readonly Prefix[];
}

/**
 * The limits of `peer` among all peers, given in the order in which they were claimed. Ranges of other clusters are foreign;
 * where two peers overlap, the first claimant keeps its range. The local cluster always takes precedence.
 */
export function limitsOf(peer: PeerSpec, local: LocalCluster, peers: readonly PeerSpec[]): PeerLimits {
  const rank = peers.findIndex(({ cluster }) => cluster === peer.cluster);
  const mine = cidrs(peer);
  const others = peers.flatMap((other, i) =>
    other.cluster === peer.cluster
      ? []
      : cidrs(other).filter((cidr) => i < rank || !mine.some((each) => prefixesOverlap(each, cidr))),
  );
  return { cluster: peer.cluster, id: peer.id, podCidrs: peer.podCidrs, excludedCidrs: [...cidrs(local), ...others] };
}

/** Why a peer cannot be followed at all; undefined when it can. */
export function refusalOf(peer: PeerSpec, local: LocalCluster, peers: readonly PeerSpec[]): string | undefined {
  const cannot = `Cannot follow cluster "${peer.cluster}"`;
  if (peer.cluster === local.cluster) return `${cannot}: it has this cluster's own name`;
  if (peer.id === local.id) return `${cannot}: its id ${peer.id} is this cluster's own`;
  const first = peers.find(({ id }) => id === peer.id);
  if (first !== undefined && first.cluster !== peer.cluster) {
    return `${cannot}: its id ${peer.id} is already that of cluster "${first.cluster}"`;
  }
  return undefined;
}

function cidrs({ podCidrs, serviceCidrs }: Pick<PeerSpec, "podCidrs" | "serviceCidrs">): readonly Prefix[] {
  return [...podCidrs, ...serviceCidrs];
}
