/** Parses MeshPeer objects (pure). An object that cannot be parsed is refused with a sentence; the others are not affected. */
import type { MeshPeer } from "@isthmus/kube";
import {
  type ClusterId,
  type ClusterName,
  MeshError,
  type Prefix,
  parseClusterId,
  parseClusterName,
  parsePrefix,
} from "@isthmus/model";

export interface Peer {
  /** Name of the MeshPeer object. */
  readonly cluster: ClusterName;
  /** Not checked against other peers here. */
  readonly id: ClusterId;
  /** Uid of its kube-system namespace, as read by `mesh connect`; "" = not known. */
  readonly uid: string;
  /** Ranges that it claims, and those of its backends; not checked against other peers here. */
  readonly podCidrs: readonly Prefix[];
  /** Ranges that it claims for ClusterIPs; not checked against other peers here. */
  readonly serviceCidrs: readonly Prefix[];
}

/**
 * Older objects come first: of two peers that claim the same ids or ranges, every replica accepts the older one.
 * A peer whose object became unreadable stays as last read and is refused with a sentence, so a typo removes no peer.
 */
export function readPeers(
  objects: readonly MeshPeer[],
  before: ReadonlyMap<ClusterName, Peer> = new Map(),
): {
  readonly usable: ReadonlyMap<ClusterName, Peer>;
  readonly refused: ReadonlyMap<string, string>;
} {
  const usable = new Map<ClusterName, Peer>();
  const refused = new Map<string, string>();
  const age = ({ metadata }: MeshPeer) => `${metadata.creationTimestamp ?? ""} ${metadata.name ?? ""}`;
  for (const object of [...objects].sort((a, b) => (age(a) < age(b) ? -1 : 1))) {
    const name = object.metadata.name ?? "";
    try {
      const peer = parsePeer(object);
      usable.set(peer.cluster, peer);
    } catch (thrown) {
      refused.set(name, `Cannot use peer "${name}": ${MeshError.from(thrown).message}`);
      const last = before.get(name as ClusterName);
      if (last !== undefined) usable.set(last.cluster, last);
    }
  }
  return { usable, refused };
}

function parsePeer({ metadata, spec }: MeshPeer): Peer {
  return {
    cluster: parseClusterName(metadata.name ?? ""),
    id: parseClusterId(spec.id),
    uid: spec.uid,
    podCidrs: spec.podCIDRs.map(parsePrefix),
    serviceCidrs: spec.serviceCIDRs.map(parsePrefix),
  };
}
