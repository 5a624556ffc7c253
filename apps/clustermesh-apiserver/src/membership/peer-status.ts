/** Status of a peer for its MeshPeer object. */
import { PeerState, type SourceReport } from "@isthmus/proto";
import type { PeerStatus } from "./peers.js";

/** `report` undefined: the peer is not followed yet. The store id becomes hexadecimal, the revision decimal. */
export function peerStatus(report: SourceReport | undefined): PeerStatus {
  if (report === undefined)
    return { state: PeerState.PEER_STATE_CONNECTING, message: "This cluster has not begun to follow it yet" };
  return {
    state: report.peerState,
    storeId: report.storeId.toString("hex"),
    revision: String(report.revision),
    headBeatAgeMs: report.beatAgeMs,
    message: report.message,
  };
}
