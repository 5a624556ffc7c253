/**
 * The reader's state machine, one per peer: `step(state, event)` changes the state and returns effects, which
 * remote-source.ts performs. It does no I/O.
 *
 *   Idle ──start──► Listing; then
 *   Listing ──listed──► Following ──(compacted, restored, other store id, sums differ)──► Listing
 *      ▲ └── wrong uid, id of another cluster, newer version ──► Blocked (retried periodically)
 *
 * Records are deleted for three reasons only: a delete event; absence from a listing once the sums of a LIVE head match the
 * received records; the operator's removal of the peer.
 */

import { createRecordTable } from "@isthmus/records";
import { createPace } from "@isthmus/runtime";
import type { EventOf, ReaderEffect, ReaderEvent } from "./events.js";
import { isFollowing, onOpened, onProbed, onSeen, onStoreChecked, repairWhenDue } from "./following.js";
import { isStale, retryMs, wakeMs } from "./freshness.js";
import { blockOverBudget, list, listNow, onListed } from "./listing.js";
import { judgeAgain, onPermitted, onRemoved } from "./operator.js";
import { differs } from "./received-records.js";
import { trustedInMs } from "./restore-detection.js";
import { createSkew } from "./skew.js";
import { NO_HEAD, RELIST, type ReaderOptions, type ReaderState } from "./state.js";
import { createUnverified } from "./unverified.js";

/** In the phase Idle, with nothing received. */
export function createReaderState(options: ReaderOptions): ReaderState {
  return {
    options,
    phase: { status: "Idle" },
    uid: "",
    received: createRecordTable(),
    unverified: createUnverified(),
    storeId: undefined,
    leftStores: new Set(),
    positionStoreId: undefined,
    unverifiedStore: false,
    position: undefined,
    revision: 0n,
    head: undefined,
    headRevision: 0n,
    newestHead: NO_HEAD,
    backup: undefined,
    beatAt: undefined,
    sumsMatch: false,
    pace: createPace({ ...RELIST, random: options.random }),
    repairs: 0,
    overflows: 0,
    failures: 0,
    overBudget: 0,
    message: "",
    blocked: undefined,
    skew: createSkew(),
  };
}

/** Changes `state` in place; the effects are performed in their order. A removed peer ignores every event. */
export function step(state: ReaderState, event: ReaderEvent): ReaderEffect[] {
  if (state.phase.status === "Removed") return [];
  switch (event.type) {
    case "start":
      return list(state, event.now);
    case "listed":
      return state.phase.status === "Listing" ? onListed(state, event) : [];
    case "over-budget":
      return state.phase.status === "Listing" ? blockOverBudget(state, event.sentence) : [];
    case "list-failed":
      return onListFailed(state, event);
    case "opened":
      return onOpened(state, event);
    case "lost":
      state.message = event.sentence;
      return [];
    case "store-checked":
      return onStoreChecked(state, event);
    case "check-failed":
      return isFollowing(state, event.open) ? [{ type: "wake", ms: retryMs(state) }] : [];
    case "seen":
      return onSeen(state, event);
    case "watch-over":
      state.message = event.sentence;
      return state.phase.status === "Following" ? list(state, event.now) : [];
    case "probed":
      return onProbed(state, event);
    case "judge-again":
      return judgeAgain(state, event);
    case "permitted":
      return onPermitted(state, event);
    case "removed":
      return onRemoved(state);
    case "tick":
      return onTick(state, event);
  }
}

function onTick(state: ReaderState, { now }: EventOf<"tick">): ReaderEffect[] {
  const { phase } = state;
  if (phase.status === "Listing" || phase.status === "Blocked") return listWhenDue(state, now);
  if (phase.status !== "Following") return [];
  const wake: ReaderEffect = { type: "wake", ms: wakeMs(state, now) };
  if (phase.open > 0 && phase.checked !== phase.open) return [{ type: "check-store", open: phase.open }, wake];
  if (differs(state)) return repairWhenDue(state, now);
  return isStale(state, now) || state.storeId === undefined ? [{ type: "probe" }, wake] : [wake];
}

function onListFailed(state: ReaderState, { sentence }: EventOf<"list-failed">): ReaderEffect[] {
  state.message = sentence;
  if (state.phase.status !== "Listing") return [];
  state.phase.asked = false;
  return [{ type: "wake", ms: retryMs(state) }];
}

/** Lists when the next attempt is due, while Listing waits or in Blocked. */
function listWhenDue(state: ReaderState, now: number): ReaderEffect[] {
  if (state.phase.status === "Listing" && state.phase.asked) return [];
  const ms = Math.min(state.pace.waitMs(now), trustedInMs(state, now) ?? Number.POSITIVE_INFINITY);
  return ms > 0 ? [{ type: "wake", ms }] : listNow(state);
}
