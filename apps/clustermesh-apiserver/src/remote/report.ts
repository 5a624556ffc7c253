/** Status and report of a source: for agents on the stream and for `mesh status`. */
import { type Kind, type SourceReport, SourceStatus } from "@isthmus/proto";
import { asBuffer, STORE_KINDS } from "@isthmus/records";
import { isStale } from "./freshness.js";
import { refusalInForce } from "./listing.js";
import { differs, isLive } from "./received-records.js";
import type { ReaderState } from "./state.js";

/** A stale source keeps all records: staleness alone causes no failover. */
export function sourceStatus(state: ReaderState, now: number): SourceStatus {
  if (state.phase.status === "Removed") return SourceStatus.SOURCE_STATUS_REMOVED;
  if (state.position === undefined) return SourceStatus.SOURCE_STATUS_CONNECTING;
  if (refusalInForce(state) !== undefined || isStale(state, now)) return SourceStatus.SOURCE_STATUS_STALE;
  return isVerified(state) ? SourceStatus.SOURCE_STATUS_LIVE : SourceStatus.SOURCE_STATUS_SYNCING;
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

const NAMES: ReadonlyMap<SourceStatus, string> = new Map([
  [SourceStatus.SOURCE_STATUS_CONNECTING, "Connecting"],
  [SourceStatus.SOURCE_STATUS_SYNCING, "Syncing"],
  [SourceStatus.SOURCE_STATUS_LIVE, "InSync"],
  [SourceStatus.SOURCE_STATUS_STALE, "Stale"],
  [SourceStatus.SOURCE_STATUS_REMOVED, "Removed"],
]);

export function sourceReport(state: ReaderState, now: number): SourceReport {
  const { options, head } = state;
  const refusal = refusalInForce(state);
  return {
    cluster: options.cluster,
    clusterId: options.clusterId,
    state: refusal !== undefined ? "Refused" : (NAMES.get(sourceStatus(state, now)) ?? "Connecting"),
    message: refusal ?? explain(state, now),
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
