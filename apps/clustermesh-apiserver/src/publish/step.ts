/**
 * The publisher as a pure state machine: `step(state, event)` changes the state and returns the effects for the shell.
 *
 *   Off ─► Connecting ─► TakingOver ─┬► Live ◄──── Loading
 *              ▲  │           ▲      └► Connecting (lists again: no other instance writes now) ─► Loading
 *              │  └► Refused  └ Standby (another instance writes; takes over when it is silent)
 *              └──────── every resync: lists again, takes over again
 *
 * Live: one txn in flight. It compares the head's revision and also rewrites the head, so a writer that was paused cannot write
 * afterwards, and the sums are exact at every revision. Loading: the head is SYNCING, and txns compare the fence alone.
 */

import { createRecordTable } from "@isthmus/records";
import { createPace } from "@isthmus/runtime";
import { createDirtySet } from "./dirty-set.js";
import type { EventOf, PublisherEffect, PublisherEvent } from "./events.js";
import { pump } from "./inflight.js";
import { onSeen } from "./rival-writer.js";
import { isWriting, type PublisherOptions, type PublisherState, RELIST } from "./state.js";
import { createStoreView } from "./store-view.js";
import { onInspected } from "./take-over.js";
import { connect, connectWhenDue, resync, retry } from "./transitions.js";
import { onCommitted, onFailed, onHeadRead, onRejected } from "./txn-results.js";
import { compareKey, fits } from "./wanted.js";

/** In the phase Off, with nothing wanted and nothing known of the store. */
export function createPublisherState(options: PublisherOptions): PublisherState {
  return {
    options,
    phase: { status: "Off" },
    config: options.config,
    wanted: createRecordTable(),
    dirty: createDirtySet(),
    stored: createStoreView([]),
    seq: 0n,
    beat: 0n,
    storedSeq: 0n,
    revision: 0n,
    storeId: new Uint8Array(0),
    message: "",
    headAt: undefined,
    nextId: 1,
    failures: 0,
    pace: createPace({ ...RELIST, random: options.random }),
    full: false,
    restored: 0,
    renewStoreId: false,
    listedAt: 0n,
    heldFence: false,
    pendingTxnPossible: false,
    tooLarge: new Map(),
  };
}

/** Changes `state` in place; the shell performs the effects in order. Results of txns given up are ignored. */
export function step(state: PublisherState, event: PublisherEvent): PublisherEffect[] {
  switch (event.type) {
    case "start":
      return connect(state);
    case "changed":
      return onChanged(state, event);
    case "configured":
      state.config = event.config;
      return pump(state, event.now, event.wallMicros);
    case "inspected":
      return state.phase.status === "Connecting" ? onInspected(state, event) : [];
    case "claimed":
      return state.phase.status === "Connecting" ? [{ type: "inspect" }] : [];
    case "committed":
      return onCommitted(state, event);
    case "rejected":
      return onRejected(state, event);
    case "failed":
      return onFailed(state, event);
    case "unanswered":
      state.full = false;
      state.message = event.sentence;
      return [retry(state)];
    case "head-read":
      return onHeadRead(state, event);
    case "seen":
      return onSeen(state, event);
    case "watch-over":
      return isWriting(state) ? resync(state, event.sentence) : [];
    case "tick":
      return onTick(state, event);
  }
}

function onChanged(state: PublisherState, { change, now, wallMicros }: EventOf<"changed">): PublisherEffect[] {
  for (const record of change.upserts) {
    if (fits(state, record)) state.wanted.set(record);
    else state.wanted.delete(record.key);
    compareKey(state, record.key, change.observedMicros);
  }
  for (const { key } of change.deletes) {
    state.wanted.delete(key);
    state.tooLarge.delete(key);
    compareKey(state, key, change.observedMicros);
  }
  return pump(state, now, wallMicros);
}

function onTick(state: PublisherState, { now, wallMicros }: EventOf<"tick">): PublisherEffect[] {
  switch (state.phase.status) {
    case "Connecting":
      return connectWhenDue(state, now);
    case "Refused":
      return connect(state);
    case "Resolving":
    case "Standby":
      return [{ type: "read-head" }];
    default:
      return pumpOrWait(state, now, wallMicros);
  }
}

/** A timer may fire a little early: the beat is not due then, and needs another `wake`. */
function pumpOrWait(state: PublisherState, now: number, wallMicros: number): PublisherEffect[] {
  const effects = pump(state, now, wallMicros);
  const { phase } = state;
  if (effects.length > 0 || phase.status !== "Live" || phase.flight !== undefined) return effects;
  return [{ type: "wake", ms: Math.max(1, Math.ceil(phase.beatAt - now)) }];
}
