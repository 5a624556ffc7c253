/** Status of a peer for its MeshPeer object. */
import type { MeshPeerState } from "@isthmus/kube";
import type { SourceReport } from "@isthmus/proto";
import type { PeerStatus } from "./peers.js";

const STATES: readonly MeshPeerState[] = ["Connecting", "Syncing", "InSync", "Stale", "Refused"];

export function peerStatus(report: SourceReport | undefined): PeerStatus {
  if (report === undefined) return { state: "Connecting", message: "This cluster has not begun to follow it yet" };
  return {
    state: STATES.find((state) => state === report.state) ?? "Connecting",
    storeId: report.storeId.toString("hex"),
    revision: String(report.revision),
    headBeatAgeMs: report.beatAgeMs,
    message: report.message,
  };
}
