/** The state of each source at this node, for metrics. Pure. */
import { PeerState } from "@isthmus/proto";
import type { NodeSourceState } from "@isthmus/records";
import type { Source } from "./sync/source-types.js";

export interface SourceReport {
  /** The real id, also for the local cluster (not 0). */
  readonly clusterId: number;
  /** In sync at least once since the start of this process, also when it is not now. */
  readonly wasInSync: boolean;
  /** What the node has of the source now, and from where. */
  readonly state: NodeSourceState;
}

/** `localClusterId` replaces the 0 that names the local cluster on the wire. */
export function reportSource(source: Source, localClusterId: number): SourceReport {
  const { clusterId, wasInSync } = source;
  return {
    clusterId: clusterId === 0 ? localClusterId : clusterId,
    wasInSync,
    state: stateOf(source),
  };
}

/** Any state at the server other than InSync, also one of a newer version, is stale: all records are kept. */
function stateOf({ behind, phase, wasInSync, live, floor, status }: Source): NodeSourceState {
  if (behind) return "behind";
  if (phase === "Repairing") return "repairing";
  if (phase === "Loading" || phase === "Verifying") return "syncing";
  if (wasInSync) return status === PeerState.PEER_STATE_IN_SYNC ? "live" : "stale";
  if (live) return "disk";
  return floor === undefined ? "waiting" : "kernel";
}
