/** The state of each source in one word, for metrics: what an operator asks first. Pure. */
import { SourceStatus } from "@isthmus/proto";
import type { Source } from "./sync/source-types.js";

/**
 * `waiting`: nothing known of it yet. Not in sync since the start: `kernel`, served as the maps had it; `disk`, served from
 * its snapshot; `syncing`. In sync before: `live`; `stale`, its control plane is not fresh and everything is kept;
 * `repairing`, records were found missing. `behind`: the server knows less than was applied here and withholds it.
 */
export const SOURCE_STATES = ["waiting", "kernel", "disk", "syncing", "live", "stale", "repairing", "behind"] as const;
export type SourceState = (typeof SOURCE_STATES)[number];

export interface SourceReport {
  /** The real one, also of the local cluster. */
  readonly clusterId: number;
  readonly proven: boolean;
  readonly state: SourceState;
}

export function reportSource(source: Source, localClusterId: number): SourceReport {
  const { clusterId, proven } = source;
  return { clusterId: clusterId === 0 ? localClusterId : clusterId, proven, state: stateOf(source) };
}

function stateOf({ behind, phase, proven, live, floor, status }: Source): SourceState {
  if (behind) return "behind";
  if (phase === "Repairing") return "repairing";
  if (phase === "Loading" || phase === "Proving") return "syncing";
  if (proven) return status === SourceStatus.SOURCE_STATUS_LIVE ? "live" : "stale";
  if (live) return "disk";
  return floor === undefined ? "waiting" : "kernel";
}
