/** What this node reports of its cluster's policies: up to which position their records are in force, and which are not. */
import { printable } from "@isthmus/model";
import type { Applied, PoliciesInForce, Position } from "@isthmus/proto";
import { MAX_REFUSAL_REASON, MAX_REFUSED_POLICIES } from "@isthmus/records";
import type { MeshState } from "./desired/mesh-state.js";

export interface PolicyReportModules {
  /** As of the last flush. */
  readonly policies: MeshState["policies"];
  /** The maps hold what the policies in force say. */
  readonly inMaps: () => boolean;
}

/** The function is called when an apply has ended, with what it acknowledges; returns the report as of then. */
export function createPolicyReport({
  policies,
  inMaps,
}: PolicyReportModules): (acks: readonly Applied[]) => PoliciesInForce {
  let local: Position | undefined;
  return (acks) => {
    local = acks.find(({ clusterId }) => clusterId === 0)?.position ?? local;
    const refused = [...policies.errors].slice(0, MAX_REFUSED_POLICIES);
    return {
      position: inMaps() ? local : undefined,
      inForce: policies.inForce,
      refused: refused.map(([key, { message }]) => ({ key, reason: printable(message, MAX_REFUSAL_REASON) })),
      moreRefused: policies.errors.size - refused.length,
    };
  };
}
