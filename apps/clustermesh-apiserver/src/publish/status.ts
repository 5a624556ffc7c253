/** The publisher's status, for `mesh status` and conditions. */
import { type PublisherStatus, PublishState } from "@isthmus/proto";
import { asBuffer, publishStates } from "@isthmus/records";
import type { Phase, PublisherState } from "./state.js";

/** Standby: another instance publishes, as the message says. */
const STATES: Readonly<Record<Phase["status"], PublishState>> = {
  Off: PublishState.PUBLISH_STATE_OFF,
  Connecting: PublishState.PUBLISH_STATE_CONNECTING,
  TakingOver: PublishState.PUBLISH_STATE_CONNECTING,
  Resolving: PublishState.PUBLISH_STATE_CONNECTING,
  Loading: PublishState.PUBLISH_STATE_LOADING,
  Live: PublishState.PUBLISH_STATE_LIVE,
  Standby: PublishState.PUBLISH_STATE_OFF,
  Refused: PublishState.PUBLISH_STATE_REFUSED,
};

/** `now`: monotonic ms. FULL takes precedence over the phase; the message counts records that are too large. */
export function publisherStatus(state: PublisherState, now: number): PublisherStatus {
  const publishState = state.full ? PublishState.PUBLISH_STATE_FULL : STATES[state.phase.status];
  return {
    state: publishStates.name(publishState),
    publishState,
    message: [state.message, tooLarge(state)].filter((sentence) => sentence !== "").join("; "),
    seq: state.seq,
    revision: state.revision,
    pending: state.dirty.size,
    beatAgeMs: state.headAt === undefined ? 0 : Math.round(now - state.headAt),
    storeId: asBuffer(state.storeId),
  };
}

/** The status while no publisher runs; `message`: why. */
export function offStatus(message: string): PublisherStatus {
  const publishState = PublishState.PUBLISH_STATE_OFF;
  const state = publishStates.name(publishState);
  return { state, publishState, message, seq: 0n, revision: 0n, pending: 0, beatAgeMs: 0, storeId: Buffer.alloc(0) };
}

function tooLarge({ tooLarge }: PublisherState): string {
  const [first] = tooLarge;
  if (first === undefined) return "";
  return `Cannot publish ${tooLarge.size} record(s), the first is "${first[0]}": ${first[1]} bytes are too many`;
}
