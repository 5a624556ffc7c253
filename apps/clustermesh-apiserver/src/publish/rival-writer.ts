/**
 * Handles other writers: another instance that publishes for this cluster, and external changes under the cluster's prefix.
 */
import { FENCE_KEY, HEAD_KEY, STORE_KEY } from "@isthmus/kvstore";
import type { Head } from "@isthmus/proto";
import { BEAT_MS, STALE_MS, sameBytes } from "@isthmus/records";
import type { EventOf, PublisherEffect, StoredKey } from "./events.js";
import { pump } from "./inflight.js";
import { readFence, readHead } from "./meta-keys.js";
import { isWriting, larger, type PublisherState } from "./state.js";
import { random, resync, stepDown } from "./transitions.js";
import { compareKey } from "./wanted.js";

/** Standby -> Connecting when the writer's head has not changed for STALE_MS, or as soon as this instance holds the Lease. */
export function watchOther(state: PublisherState, head: Head | undefined, now: number): PublisherEffect[] {
  const { phase } = state;
  if (phase.status !== "Standby") return [];
  if (head === undefined) return resync(state, "The store has no head: taking over");
  if (state.options.hasLease?.() === true)
    return resync(state, `Instance "${phase.writer}" publishes without the Lease: taking over`);
  if (head.seq !== phase.seq) return stepDown(state, head.writer, head.seq, now);
  const jitter = 1 + 0.2 * random(state);
  if (now - phase.since > STALE_MS * jitter) return resync(state, `Instance "${phase.writer}" is silent: taking over`);
  return [{ type: "wake", ms: BEAT_MS }];
}

/** Applies watch events: what they modified externally becomes dirty; a lost head, fence or store id means a resync. */
export function onSeen(state: PublisherState, event: EventOf<"seen">): PublisherEffect[] {
  if (!isWriting(state)) return [];
  let fenced = false;
  for (const each of event.events) {
    state.revision = larger(state.revision, each.modRevision);
    if (!state.stored.applyEvent(each, each.deleted)) continue;
    const trouble = metaTrouble(state, each);
    if (trouble === "fenced") fenced = true;
    else if (trouble !== undefined) return resync(state, trouble);
    const known = state.dirty.has(each.key);
    compareKey(state, each.key, 0);
    // A key that this publisher wrote is as wanted, or was dirty already, so a newly dirty key was modified externally.
    if (!known && state.dirty.has(each.key)) state.restored++;
  }
  return fenced ? onFenced(state) : pump(state, event.now, event.wallMicros);
}

/**
 * Live, Loading -> Resolving: another instance wrote the fence or the head. Its revision is known now, so a txn that compares it
 * would be applied: nothing is sent until the head shows which instance writes.
 */
function onFenced(state: PublisherState): PublisherEffect[] {
  const { phase } = state;
  // Bulk txns in flight compare only the fence: should that still be this instance's, they may be applied later.
  if (phase.status === "Loading") state.pendingTxnPossible ||= phase.flights.size > 0;
  if (phase.status === "Live" || phase.status === "Loading") {
    state.phase = { status: "Resolving", flight: phase.status === "Live" ? phase.flight : undefined };
  }
  return [{ type: "read-head" }];
}

function metaTrouble(
  state: PublisherState,
  { key, value, modRevision, deleted }: StoredKey & { deleted: boolean },
): string | undefined {
  if (key === FENCE_KEY || key === HEAD_KEY) {
    if (deleted) return `The store lost its ${key}: taking over again`;
    const stored = { key, value, modRevision };
    const writer = key === FENCE_KEY ? readFence(stored) : readHead(stored)?.writer;
    if (writer === undefined) return `The store holds a ${key} that cannot be read: taking over again`;
    if (writer !== state.options.instance) return "fenced";
    return undefined;
  }
  if (key === STORE_KEY && (deleted || !sameBytes(value, state.storeId)))
    return "The store's id changed: reading it again";
  return undefined;
}
