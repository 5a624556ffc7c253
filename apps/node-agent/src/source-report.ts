/** The state of each source as one label value, for metrics. Pure. */
import { PeerState } from "@isthmus/proto";
import type { Source } from "./sync/source-types.js";

/**
 * Never in sync since the start: `waiting`, it has neither records nor a floor; `kernel`, served as found in the maps;
 * `disk`, served from its snapshot. In sync before: `live`; `stale`, its control plane is not live and all records are
 * kept. Either: `syncing`, a first sync is under way; `repairing`, records are missing or differ; `behind`, the
 * server's position is older than what was applied here, so it withholds the source.
 */
export const SOURCE_STATES = ["waiting", "kernel", "disk", "syncing", "live", "stale", "repairing", "behind"] as const;
export type SourceState = (typeof SOURCE_STATES)[number];

export interface SourceReport {
  /** The real id, also for the local cluster (not 0). */
  readonly clusterId: number;
  readonly wasInSync: boolean;
  readonly state: SourceState;
}

export function reportSource(source: Source, localClusterId: number): SourceReport {
  const { clusterId, wasInSync: proven } = source;
  return {
    clusterId: clusterId === 0 ? localClusterId : clusterId,
    wasInSync: proven,
    state: sourceStateMessage(source),
  };
}

function sourceStateMessage({ behind, phase, wasInSync: proven, live, floor, status }: Source): SourceState {
  if (behind) return "behind";
  if (phase === "Repairing") return "repairing";
  if (phase === "Loading" || phase === "Proving") return "syncing";
  if (proven) return status === PeerState.PEER_STATE_IN_SYNC ? "live" : "stale";
  if (live) return "disk";
  return floor === undefined ? "waiting" : "kernel";
}
