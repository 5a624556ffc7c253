/**
 * The states and reasons that clusters, agents and the CLI exchange: the one place that gives each value of an enum of the
 * wire its name and its meaning. docs/reference/states.md and drop-reasons.md are made of it; a comment "Fix:" says what a user
 * can do.
 *
 * The phases of the state machines (of a reader, a publisher, a source in an agent) are steps on the way to these states
 * and are never sent; docs/design/sync.md says which phase has which state.
 */
import {
  BackendExclusion,
  type FrontendReport,
  FrontendState,
  PeerState,
  PublishState,
  RefusalReason,
} from "@isthmus/proto";
import { createVocabulary, type Word } from "./vocabulary.js";

/** The states of a peer, and of the local cluster as its agents see it: MeshPeer, its condition Ready, `mesh status`. */
export const PEER_STATES: readonly Word<PeerState>[] = [
  /** Fix: when it lasts, see the message: mostly the store cannot be reached. */
  {
    value: PeerState.PEER_STATE_CONNECTING,
    name: "Connecting",
    meaning: "Nothing of the cluster was read yet",
  },
  {
    value: PeerState.PEER_STATE_SYNCING,
    name: "Syncing",
    meaning:
      "Its records are used, but not verified: its head is not LIVE, or its sums differ, so absence deletes nothing",
  },
  {
    value: PeerState.PEER_STATE_IN_SYNC,
    name: "InSync",
    meaning: "Its records equal the sums of a LIVE head that is fresh",
  },
  /** Fix: see the message; check the peer's clustermesh-apiserver and the store. */
  {
    value: PeerState.PEER_STATE_STALE,
    name: "Stale",
    meaning: "Its publisher, or for the local cluster the Kubernetes API, has been silent for 15 s; all records stay",
  },
  /** Fix: do what the message says. */
  {
    value: PeerState.PEER_STATE_REFUSED,
    name: "Refused",
    meaning:
      "It may not be followed, for a reason that the message gives; its accepted records stay, no new ones are taken",
  },
  {
    value: PeerState.PEER_STATE_REMOVED,
    name: "Removed",
    meaning: "The operator deleted its MeshPeer: agents delete its records. Only on the stream to agents",
  },
];

/** The states of a cluster's publisher: condition Published of MeshCluster, hop `publish` of `mesh status`. */
export const PUBLISH_STATES: readonly Word<PublishState>[] = [
  /** Fix: `mesh connect`, when the cluster shall be a member of a mesh. */
  {
    value: PublishState.PUBLISH_STATE_OFF,
    name: "Off",
    meaning: "It does not publish: there is no store, another instance publishes, or it waits for Kubernetes",
  },
  /** Fix: when it lasts, see the message: mostly the store cannot be reached. */
  {
    value: PublishState.PUBLISH_STATE_CONNECTING,
    name: "Connecting",
    meaning: "It reads what the store has, or determines whether its last write was stored",
  },
  {
    value: PublishState.PUBLISH_STATE_LOADING,
    name: "Loading",
    meaning: "It writes its first records; the head is SYNCING",
  },
  {
    value: PublishState.PUBLISH_STATE_LIVE,
    name: "Live",
    meaning: "The store has what the cluster exports, and changes are written as they come",
  },
  /** Fix: see error code STORE_FULL. */
  {
    value: PublishState.PUBLISH_STATE_FULL,
    name: "Full",
    meaning: "The store has no space: no head is written, so readers see the cluster as Stale",
  },
  /** Fix: do what the message says. */
  {
    value: PublishState.PUBLISH_STATE_REFUSED,
    name: "Refused",
    meaning: "It may not write, for a reason that the message gives, such as an id that another cluster has claimed",
  },
];

/** The states of a frontend: column STATUS of `mesh service list`. */
export const FRONTEND_STATES: readonly Word<FrontendState>[] = [
  {
    value: FrontendState.FRONTEND_STATE_DONE,
    name: "Done",
    meaning: "Every node has applied it",
  },
  /** Fix: when it lasts, see which agent is behind or not connected: `mesh status`. */
  {
    value: FrontendState.FRONTEND_STATE_APPLYING,
    name: "Applying",
    meaning: "Not all nodes have applied it; the numbers of nodes follow",
  },
  /** Fix: see whether clustermesh-apiserver may list Nodes (deploy/base/rbac). */
  {
    value: FrontendState.FRONTEND_STATE_MERGED,
    name: "Merged",
    meaning: "The apiserver has merged it, and does not know the nodes that must apply it",
  },
  {
    value: FrontendState.FRONTEND_STATE_NO_FRONTEND,
    name: "No frontend",
    meaning: "The Service has no ClusterIP: it is headless or an ExternalName",
  },
  {
    value: FrontendState.FRONTEND_STATE_OTHER_PROXY,
    name: "Left to another proxy",
    meaning: "A label of the Service names another proxy",
  },
  /** Fix: see the endpoints of the Service, and NOTES for what keeps other clusters out. */
  {
    value: FrontendState.FRONTEND_STATE_NO_BACKEND,
    name: "Error: no ready backend",
    meaning: "No backend is ready or still serves: connects are refused",
  },
];

/** Why records of a peer are refused: reasons in `mesh status`. */
export const REFUSAL_REASONS: readonly Word<RefusalReason>[] = [
  /** Fix: run the same version in both clusters. */
  {
    value: RefusalReason.REFUSAL_REASON_MALFORMED_KEY,
    name: "malformed-key",
    meaning: "The key cannot be read, or is of a kind that is not exported",
  },
  /** Fix: run the same version in both clusters. */
  {
    value: RefusalReason.REFUSAL_REASON_MALFORMED_VALUE,
    name: "malformed-value",
    meaning: "The value cannot be read",
  },
  /** Fix: run the same version in both clusters; otherwise see who else writes to the store. */
  {
    value: RefusalReason.REFUSAL_REASON_KEY_MISMATCH,
    name: "key-mismatch",
    meaning: "Key and value name different objects",
  },
  /** Fix: compare the ids: `spec.id` of the MeshPeer and "cluster-id" there. */
  {
    value: RefusalReason.REFUSAL_REASON_IDENTITY_OF_ANOTHER_CLUSTER,
    name: "identity-of-another-cluster",
    meaning: "The identity has the id of another cluster, or its label",
  },
  /** Fix: `mesh connect` writes the ranges anew; new ones go into "pod-cidrs" of the peer's mesh-config first. */
  {
    value: RefusalReason.REFUSAL_REASON_ADDRESS_OUTSIDE_CIDR,
    name: "address-outside-cidr",
    meaning: "An address is outside the pod CIDRs that the MeshPeer allows",
  },
  /** Fix: in the peer, find who writes such an EndpointSlice or Node. */
  {
    value: RefusalReason.REFUSAL_REASON_ADDRESS_FORBIDDEN,
    name: "address-forbidden",
    meaning: "An address is one that no cluster may claim: loopback, link-local, multicast, unspecified",
  },
  /** Fix: give the clusters disjoint pod ranges. */
  {
    value: RefusalReason.REFUSAL_REASON_ADDRESS_OF_ANOTHER_CLUSTER,
    name: "address-of-another-cluster",
    meaning: "An address is in a range of another cluster, or another cluster claimed it first",
  },
  /** Fix: split the Service, or make its EndpointSlices smaller. */
  {
    value: RefusalReason.REFUSAL_REASON_TOO_LARGE,
    name: "too-large",
    meaning: "Key or value has more bytes, or the value more fields, than a reader accepts",
  },
  /** Fix: split or correct the object in the peer; the example names the field. */
  {
    value: RefusalReason.REFUSAL_REASON_OUT_OF_BOUNDS,
    name: "out-of-bounds",
    meaning: "A number, text or list in the value is above its bound",
  },
  /** Fix: in the peer, delete the MeshIdentity that the example names, so that its pods get another number. */
  {
    value: RefusalReason.REFUSAL_REASON_IDENTITY_CHANGED,
    name: "identity-changed",
    meaning:
      "A number stands for other labels than before in the same epoch of the peer; the labels before stay in force",
  },
];

/** Why a backend gets no new connections: column WHY NOT of `mesh service explain`. */
export const BACKEND_EXCLUSIONS: readonly Word<BackendExclusion>[] = [
  /** Fix: set "service.cilium.io/global" to "true" on the Service of the pod's cluster. */
  {
    value: BackendExclusion.BACKEND_EXCLUSION_NOT_GLOBAL_HERE,
    name: "not-global-here",
    meaning: "It is of another cluster, and the Service of the pod's cluster is not global",
  },
  /** Fix: make the Service there, with "service.cilium.io/global" set to "true". */
  {
    value: BackendExclusion.BACKEND_EXCLUSION_NOT_GLOBAL_THERE,
    name: "not-global-there",
    meaning: "Its cluster exports no global Service of that name",
  },
  /** Fix: remove "service.cilium.io/shared" from the Service of its cluster. */
  {
    value: BackendExclusion.BACKEND_EXCLUSION_NOT_SHARED,
    name: "not-shared",
    meaning: "The Service of its cluster is not shared",
  },
  /** Fix: give the ports the same names and protocols in both clusters. */
  {
    value: BackendExclusion.BACKEND_EXCLUSION_PORT,
    name: "port",
    meaning: "Its cluster's Service, or its EndpointSlice, has no port of this name and protocol",
  },
  {
    value: BackendExclusion.BACKEND_EXCLUSION_FAMILY,
    name: "family",
    meaning: "Its address is of the other family than the frontend",
  },
  /** Fix: give the clusters disjoint pod ranges. */
  {
    value: BackendExclusion.BACKEND_EXCLUSION_DUPLICATE,
    name: "duplicate",
    meaning: "Another record has the same address and port, and is used",
  },
  /** Fix: split the Service. */
  {
    value: BackendExclusion.BACKEND_EXCLUSION_TOO_MANY,
    name: "too-many",
    meaning: "Its cluster has more backends than one cluster may contribute, or the tier more than a table has slots",
  },
  /** Fix: see why its pod is not ready. */
  {
    value: BackendExclusion.BACKEND_EXCLUSION_NOT_READY,
    name: "not-ready",
    meaning: "Its EndpointSlice says that it is not ready, nor serving while it terminates",
  },
  {
    value: BackendExclusion.BACKEND_EXCLUSION_TERMINATING,
    name: "terminating",
    meaning: "It terminates and still serves, and other backends are ready",
  },
  /** Fix: do what the error of the frontend says. */
  {
    value: BackendExclusion.BACKEND_EXCLUSION_PLAN,
    name: "not-planned",
    meaning: "The frontend cannot be served as the records ask for: nodes keep what they had",
  },
  {
    value: BackendExclusion.BACKEND_EXCLUSION_OTHER_TIER,
    name: "other-tier",
    meaning: "It is in reserve: an earlier tier has backends that are up",
  },
  /** Fix: see which reporter says so, and why: `mesh bpf dump cluster-state` and `node-state`. */
  {
    value: BackendExclusion.BACKEND_EXCLUSION_RANK,
    name: "rank",
    meaning: "The node's maps rank it, its node or its cluster below others: it is used when nothing better is found",
  },
  /** Fix: when it lasts, see the problems of the node, and `mesh status`. */
  {
    value: BackendExclusion.BACKEND_EXCLUSION_NOT_IN_MAPS,
    name: "not-in-maps",
    meaning: "The pod's node does not have it in its maps: it has not applied the records yet, or has no room",
  },
  /** Fix: give the Services different ClusterIPs. */
  {
    value: BackendExclusion.BACKEND_EXCLUSION_OTHER_SERVICE,
    name: "other-service",
    meaning: "The frontend is another Service's on the pod's node: both have the ClusterIP",
  },
];

export const peerStates = createVocabulary(PEER_STATES);
export const publishStates = createVocabulary(PUBLISH_STATES);
export const frontendStates = createVocabulary(FRONTEND_STATES);
export const refusalReasons = createVocabulary(REFUSAL_REASONS);
export const backendExclusions = createVocabulary(BACKEND_EXCLUSIONS);

/** The fields of a FrontendReport that say how far it is applied. */
export type FrontendStatus = Pick<FrontendReport, "status" | "frontendState" | "appliedNodes" | "nodes">;

/** `nodes`: those that must apply it, of which `appliedNodes` have. */
export function frontendStatus(frontendState: FrontendState, appliedNodes = 0, nodes = 0): FrontendStatus {
  const fields = { frontendState, appliedNodes, nodes };
  return { ...fields, status: frontendStateText({ ...fields, status: "" }) };
}

/** `Done`; `Applying: 1/2 nodes`; the text of a server that does not set the enum. */
export function frontendStateText({ frontendState, status, appliedNodes, nodes }: FrontendStatus): string {
  const text = frontendStates.show(frontendState, status);
  return frontendState === FrontendState.FRONTEND_STATE_APPLYING ? `${text}: ${appliedNodes}/${nodes} nodes` : text;
}

/** What a node serves of a source: values of the label `state` of the agent's metric `mesh_source_state`. */
export const NODE_SOURCE_STATES = [
  /** Fix: when it lasts, see `mesh status`. */
  {
    label: "waiting",
    meaning: "Not in sync since the start; it has neither records nor a floor",
  },
  /** Fix: when it lasts, see `mesh status`. */
  {
    label: "kernel",
    meaning: "Not in sync since the start; served as found in the maps",
  },
  /** Fix: when it lasts, see `mesh status`. */
  {
    label: "disk",
    meaning: "Not in sync since the start; served from its disk snapshot",
  },
  {
    label: "syncing",
    meaning: "A first sync is under way",
  },
  {
    label: "live",
    meaning: "In sync, and InSync at the apiserver",
  },
  /** Fix: see `mesh status`. */
  {
    label: "stale",
    meaning: "In sync before, and not InSync at the apiserver: all records stay",
  },
  {
    label: "repairing",
    meaning: "Records are missing or differ from the sums, and are being fetched",
  },
  {
    label: "behind",
    meaning: "The apiserver's position is older than what was applied here, so it withholds the source",
  },
] as const;

export type NodeSourceState = (typeof NODE_SOURCE_STATES)[number]["label"];
