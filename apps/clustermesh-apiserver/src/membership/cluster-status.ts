/** Conditions of the local cluster: for the status of its MeshCluster and for `mesh status`. */
import { PeerState, type PublisherStatus, PublishState } from "@isthmus/proto";
import { type PEER_STATES, type PUBLISH_STATES, peerStates, publishStates } from "@isthmus/records";
import type { AllocationProblem } from "../cluster/identity-allocation.js";
import type { Verdict } from "../objects/conditions.js";

/** The conditions with their reasons; docs/reference/conditions.md is made of the comments. */
export interface ClusterReasons {
  /** The agents of this cluster get its own Services, EndpointSlices and Nodes. The reason is InSync, Syncing or Stale. */
  readonly Ready: (typeof PEER_STATES)[number]["name"];
  /** The store answers. Without it the cluster's own Services work on; only news between clusters stops. */
  readonly StoreReachable: /** Status True. */
    | "Answers"
    /** Status False: etcd does not answer or refuses this cluster. Fix: see the message and the error codes STORE_…. */
    | "NoAnswer"
    /** Status Unknown: no store is configured, the cluster is alone. Fix: `mesh connect`. */
    | "NoStore"
    /** Status False: `spec.store` cannot be used. Fix: see the message; `mesh connect` writes it anew. */
    | "NotConfigured";
  /** Other clusters can read what this cluster exports. The reason is the state of the publisher. */
  readonly Published: (typeof PUBLISH_STATES)[number]["name"];
  /** The newest ConfigMap mesh-system/mesh-config is in force. */
  readonly ConfigAccepted: /** Status True. */
    | "InForce"
    /** Status False: it cannot be used, the last good one is in force. Fix: correct the field that the message names. */
    | "Invalid";
  /** Each pod that needs an identity has one, or gets it at once. */
  readonly IdentitiesAllocated: /** Status True. */
    | "Allocated"
    /** Status False: no number is left for pods with new labels; all others go on. Fix: see the error code IDENTITIES_EXHAUSTED. */
    | "Exhausted"
    /** Status False: MeshIdentity objects cannot be written. Pods with new labels wait. Fix: see the message; apply deploy/base again. */
    | "NotWritten"
    /** Status False: a pod has more labels than an identity holds. Fix: remove labels of the pod that the message names. */
    | "TooManyLabels";
}

/** One condition of each type, in the order of `ClusterReasons`. A problem that is undefined: there is none. */
export function clusterConditions(
  own: { readonly inSync: boolean; readonly problem: string | undefined },
  publisher: PublisherStatus,
  store: { readonly configured: boolean; readonly problem: string | undefined },
  { config, identities }: LocalProblems = {},
): readonly Verdict[] {
  return [ready(own), reachable(publisher, store), published(publisher), accepted(config), allocated(identities)];
}

export interface LocalProblems {
  /** With the newest mesh-config. */
  readonly config?: string | undefined;
  /** Why pods may have no identity. */
  readonly identities?: AllocationProblem | undefined;
}

function allocated(problem: AllocationProblem | undefined): Verdict {
  if (problem === undefined) return verdict("IdentitiesAllocated", "True", "Allocated", "");
  return verdict("IdentitiesAllocated", "False", problem.reason, problem.message);
}

/** Verdict on the newest mesh-config; the values in force are in the spec. */
function accepted(problem: string | undefined): Verdict {
  if (problem === undefined) return verdict("ConfigAccepted", "True", "InForce", "mesh-config is in force");
  return verdict("ConfigAccepted", "False", "Invalid", problem);
}

const IN_SYNC = peerStates.name(PeerState.PEER_STATE_IN_SYNC);
const STALE = peerStates.name(PeerState.PEER_STATE_STALE);
const SYNCING = peerStates.name(PeerState.PEER_STATE_SYNCING);

function ready({ inSync, problem }: { readonly inSync: boolean; readonly problem: string | undefined }): Verdict {
  if (inSync && problem === undefined)
    return verdict("Ready", "True", IN_SYNC, "Agents are served this cluster's state");
  return verdict("Ready", "False", inSync ? STALE : SYNCING, problem ?? "");
}

function reachable(
  { publishState, message }: PublisherStatus,
  { configured, problem }: { readonly configured: boolean; readonly problem: string | undefined },
): Verdict {
  if (problem !== undefined) return verdict("StoreReachable", "False", "NotConfigured", problem);
  if (!configured) return verdict("StoreReachable", "Unknown", "NoStore", 'No store is configured: run "mesh connect"');
  if (publishState === PublishState.PUBLISH_STATE_CONNECTING || publishState === PublishState.PUBLISH_STATE_OFF)
    return verdict("StoreReachable", "False", "NoAnswer", message);
  return verdict("StoreReachable", "True", "Answers", "");
}

function published({ publishState, message }: PublisherStatus): Verdict {
  const status = publishState === PublishState.PUBLISH_STATE_LIVE ? "True" : "False";
  return verdict("Published", status, publishStates.name(publishState), message);
}

/** Replaces durations in the message: otherwise each change of a number would cause a write of the condition. */
function verdict<Type extends keyof ClusterReasons>(
  type: Type,
  status: Verdict["status"],
  reason: ClusterReasons[Type],
  message: string,
): Verdict {
  return { type, status, reason, message: message.replace(/\b\d+(\.\d+)? (ms|s)\b/g, "a while") };
}
