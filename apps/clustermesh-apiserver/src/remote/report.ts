/** State and report of a peer: for agents on the stream, its MeshPeer, and `mesh status`. */
import { type Kind, PeerState, type SourceReport } from "@isthmus/proto";
import { asBuffer, peerStates, STORE_KINDS } from "@isthmus/records";
import { isStale } from "./freshness.js";
import { refusalInForce } from "./listing.js";
import { differs, isLive } from "./received-records.js";
import type { ReaderState } from "./state.js";

/** The state that agents, the MeshPeer and `mesh status` get. Stale and Refused keep all records: neither causes a failover. */
export function peerState(state: ReaderState, now: number): PeerState {
  if (state.phase.status === "Removed") return PeerState.PEER_STATE_REMOVED;
  if (refusalInForce(state) !== undefined) return PeerState.PEER_STATE_REFUSED;
  if (state.position === undefined) return PeerState.PEER_STATE_CONNECTING;
  if (isStale(state, now)) return PeerState.PEER_STATE_STALE;
  return isVerified(state) ? PeerState.PEER_STATE_IN_SYNC : PeerState.PEER_STATE_SYNCING;
}

/** True when the received records match the sums of a LIVE head: only then does absence mean deletion. */
export function isVerified(state: ReaderState): boolean {
  return isLive(state) && state.sumsMatch;
}

/** True when absence of a record of this kind means deletion: the head exports the kind, or it never leaves a cluster. */
export function verifiesAbsence({ head }: ReaderState, kind: Kind): boolean {
  if (!STORE_KINDS.some((each) => each === kind)) return true;
  return head?.sums.some((sum) => sum.kind === kind && sum.exported) === true;
}

/** `now`: monotonic ms. The message says what is wrong, or what is awaited; "" when nothing is. */
export function sourceReport(state: ReaderState, now: number): SourceReport {
  const { options, head } = state;
  const current = peerState(state, now);
  return {
    cluster: options.cluster,
    clusterId: options.clusterId,
    state: peerStates.name(current),
    peerState: current,
    message: refusalInForce(state) ?? explain(state, now),
    storeId: asBuffer(state.storeId ?? new Uint8Array(0)),
    revision: state.revision,
    beatAgeMs: beatAgeMs(state, now),
    kubeAgeMs: head?.kubeAgeMs ?? 0,
    sums: state.received.sums(STORE_KINDS),
    refused: options.admission.refused(),
    repairs: state.repairs,
    skewMs: Math.round(state.skew.micros / 1000),
  };
}

/** Milliseconds since the head last changed, as this process observed it; 0 before the first head. */
export function beatAgeMs(state: ReaderState, now: number): number {
  return state.beatAt === undefined ? 0 : Math.round(now - state.beatAt);
}

function explain(state: ReaderState, now: number): string {
  if (state.message !== "") return state.message;
  const { cluster } = state.options;
  if (differs(state))
    return `Received records of cluster "${cluster}" differ from the sums in its head: reading the store again`;
  if (state.phase.status === "Following" && state.storeId === undefined) {
    return `Cluster "${cluster}" has not published anything into the store yet`;
  }
  if (isStale(state, now)) {
    const seconds = Math.round(beatAgeMs(state, now) / 1000);
    return `The publisher of cluster "${cluster}" has been silent for ${seconds} s`;
  }
  if (state.head !== undefined && !isLive(state)) return `The publisher of cluster "${cluster}" is loading the store`;
  return "";
}
