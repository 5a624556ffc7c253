/**
 * Handles the result of a txn: committed, rejected, or unknown; an unknown result is resolved by reading the head.
 *
 *   Live, Loading ─► Resolving ─► Live | Standby | Connecting        TakingOver, Loading ─► Live | Connecting
 */

import { HEAD_KEY, STORE_KEY } from "@isthmus/kvstore";
import { BEAT_MS } from "@isthmus/records";
import type { EventOf, PublisherEffect, PublisherEvent } from "./events.js";
import { flightOf, pump } from "./inflight.js";
import { readFence, readHead } from "./meta-keys.js";
import { watchOther } from "./rival-writer.js";
import { type Flight, isWriting, larger, type PublisherState } from "./state.js";
import { connect, resync, retry, stepDown } from "./transitions.js";
import { compareAll, compareKey } from "./wanted.js";

const CHANGED = "The store changed since this publisher's last write: listing it again";

/** TakingOver -> Live or Connecting; Loading -> Live with the last txn. Sends what is due then. */
export function onCommitted(state: PublisherState, event: EventOf<"committed">): PublisherEffect[] {
  const flight = flightOf(state, event.id);
  if (flight === undefined) return [];
  state.failures = 0;
  landed(state, flight, event.revision);
  const { phase } = state;
  if (phase.status === "Loading" && phase.last === undefined) phase.flights.delete(flight.id);
  else return headLanded(state, event);
  return pump(state, event.now, event.wallMicros);
}

/** The head of this publisher is stored: TakingOver -> Live or Connecting, Loading -> Live, Resolving -> Live. */
function headLanded(state: PublisherState, { now, wallMicros }: PublisherEvent): PublisherEffect[] {
  const { phase } = state;
  state.headAt = now;
  state.message = "";
  state.storeId = state.stored.meta(STORE_KEY)?.value ?? state.storeId;
  state.renewStoreId = false;
  state.heldFence = true;
  state.pendingTxnPossible = false;
  state.full = false;
  if (phase.status === "TakingOver" && !phase.live) return connect(state);
  const effects: PublisherEffect[] = [];
  if (phase.status === "TakingOver") {
    compareAll(state);
    effects.push({ type: "watch", from: state.listedAt + 1n });
  }
  const beatAt = phase.status === "Live" ? phase.beatAt : now + BEAT_MS;
  state.phase = { status: "Live", flight: undefined, beatAt };
  return [...effects, { type: "wake", ms: Math.max(1, beatAt - now) }, ...pump(state, now, wallMicros)];
}

function landed(state: PublisherState, flight: Flight, revision: bigint): void {
  state.stored.commit(flight.writes, revision);
  state.revision = larger(state.revision, revision);
  state.storedSeq = larger(state.storedSeq, flight.seq ?? 0n);
  for (const { key } of flight.writes) compareKey(state, key, 0);
}

/** The comparison failed. Live -> Resolving: the head is another instance's, or of an own txn whose answer was lost. */
export function onRejected(state: PublisherState, event: EventOf<"rejected">): PublisherEffect[] {
  const flight = flightOf(state, event.id);
  if (flight === undefined) return [];
  if (state.phase.status !== "Live") return resync(state, CHANGED);
  state.phase = { status: "Resolving", flight };
  return [{ type: "read-head" }];
}

/** Live -> Resolving, where the head shows whether the txn was applied; TakingOver, Loading -> Connecting. */
export function onFailed(state: PublisherState, event: EventOf<"failed">): PublisherEffect[] {
  const flight = flightOf(state, event.id);
  if (flight === undefined) return [];
  state.message = event.sentence;
  state.full = event.full === true;
  const { phase } = state;
  // The txn may still be applied. A new fence makes its comparison fail: list and take over again.
  if (phase.status !== "Live") {
    state.pendingTxnPossible ||= event.mayHaveHappened;
    return resync(state, event.sentence);
  }
  state.phase = { status: "Resolving", flight };
  return [retry(state)];
}

/** After a rejection, after a lost answer, or in Standby: determines the writer, and whether this publisher's txn was applied. */
export function onHeadRead(state: PublisherState, event: EventOf<"head-read">): PublisherEffect[] {
  const [head, fence] = [readHead(event.head), readFence(event.fence)];
  const { phase } = state;
  if (phase.status === "Standby") return watchOther(state, head, event.now);
  if (!isWriting(state)) return [];
  if (head !== undefined && fence !== undefined && fence !== state.options.instance) {
    return stepDown(state, fence, head.seq, event.now);
  }
  const flight = phase.status === "Resolving" ? phase.flight : undefined;
  if (flight === undefined || head === undefined || event.head === undefined) {
    return resync(state, CHANGED);
  }
  if (head.writer === state.options.instance && head.seq === flight.seq) {
    state.failures = 0;
    landed(state, flight, event.head.modRevision);
    return headLanded(state, event);
  }
  if (event.head.modRevision !== state.stored.meta(HEAD_KEY)?.modRevision) {
    return resync(state, CHANGED);
  }
  state.phase = { status: "Live", flight: undefined, beatAt: event.now };
  return pump(state, event.now, event.wallMicros);
}
