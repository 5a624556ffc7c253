/** The publisher's status, for `mesh status` and conditions. */
import type { PublisherStatus } from "@isthmus/proto";
import { asBuffer } from "@isthmus/records";
import type { Phase, PublisherState } from "./state.js";

/** Status names: Off, Connecting, Loading, Live, Full, Refused. Off with a message while another instance publishes. */
const NAMES: Record<Phase["status"], string> = {
  Off: "Off",
  Connecting: "Connecting",
  TakingOver: "Connecting",
  Resolving: "Connecting",
  Loading: "Loading",
  Live: "Live",
  Standby: "Off",
  Refused: "Refused",
};

export function publisherStatus(state: PublisherState, now: number): PublisherStatus {
  return {
    state: state.full ? "Full" : NAMES[state.phase.status],
    message: [state.message, tooLarge(state)].filter((sentence) => sentence !== "").join("; "),
    seq: state.seq,
    revision: state.revision,
    pending: state.dirty.size,
    beatAgeMs: state.headAt === undefined ? 0 : Math.round(now - state.headAt),
    storeId: asBuffer(state.storeId),
  };
}

function tooLarge({ tooLarge }: PublisherState): string {
  const [first] = tooLarge;
  if (first === undefined) return "";
  return `Cannot publish ${tooLarge.size} record(s), the first is "${first[0]}": ${first[1]} bytes are too many`;
}
