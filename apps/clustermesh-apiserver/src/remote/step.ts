/**
 * The reader as a pure machine, one per peer: `step(state, event)` changes the state and returns what the shell must do.
 *
 *   Idle ──start──► Ranging; then
 *   Ranging ──ranged──► Following ──(compacted, set back, other store id, sums differ)──► Ranging
 *      ▲ └── wrong uid, id of another, newer version ──► Barred (looked at again by itself)
 *
 * Three things delete: an explicit event; absence from a range once a LIVE head's sums equal what was received; the
 * operator. Everything else keeps what it has.
 */
import { createRecordTable } from "@isthmus/records";
import type { EventOf, ReaderEffect, ReaderEvent } from "./events.js";
import { isFollowing, onOpened, onProbed, onSeen, onStoreChecked, repair } from "./following.js";
import { backoffMs, isStale, wakeMs } from "./freshness.js";
import { judgeAgain, onRemoved } from "./operator.js";
import { onRanged, range } from "./ranging.js";
import { isLive } from "./received.js";
import { createSkew } from "./skew.js";
import { NOTHING_SEEN, type ReaderOptions, type ReaderState } from "./state.js";

export function createReaderState(options: ReaderOptions): ReaderState {
  return {
    options,
    phase: { status: "Idle" },
    uid: "",
    received: createRecordTable(),
    unproved: new Map(),
    storeId: undefined,
    leftStores: new Set(),
    lineage: undefined,
    doubting: false,
    position: undefined,
    revision: 0n,
    head: undefined,
    headRevision: 0n,
    newest: NOTHING_SEEN,
    past: undefined,
    beatAt: undefined,
    equal: false,
    mismatches: 0,
    repairs: 0,
    overflows: 0,
    failures: 0,
    connected: false,
    message: "",
    barred: undefined,
    skew: createSkew(),
  };
}

export function step(state: ReaderState, event: ReaderEvent): ReaderEffect[] {
  if (state.phase.status === "Removed") return [];
  switch (event.type) {
    case "start":
      return range(state);
    case "ranged":
      return state.phase.status === "Ranging" ? onRanged(state, event) : [];
    case "range-failed":
      state.connected = false;
      state.message = event.sentence;
      return state.phase.status === "Ranging" ? [{ type: "wake", ms: backoffMs(state) }] : [];
    case "opened":
      return onOpened(state, event);
    case "lost":
      state.connected = false;
      state.message = event.sentence;
      return [];
    case "store-checked":
      return onStoreChecked(state, event);
    case "check-failed":
      return isFollowing(state, event.open) ? [{ type: "wake", ms: backoffMs(state) }] : [];
    case "seen":
      return onSeen(state, event);
    case "watch-over":
      state.message = event.sentence;
      return state.phase.status === "Following" ? range(state) : [];
    case "probed":
      return onProbed(state, event);
    case "judge-again":
      return judgeAgain(state);
    case "permitted":
      state.uid = event.uid;
      state.barred = event.refusal;
      return state.phase.status === "Idle" ? [] : range(state);
    case "removed":
      return onRemoved(state);
    case "tick":
      return onTick(state, event);
  }
}

function onTick(state: ReaderState, { now }: EventOf<"tick">): ReaderEffect[] {
  const { phase } = state;
  if (phase.status === "Ranging" || phase.status === "Barred") return range(state);
  if (phase.status !== "Following") return [];
  const wake: ReaderEffect = { type: "wake", ms: wakeMs(state, now) };
  if (phase.open > 0 && phase.checked !== phase.open) return [{ type: "check-store", open: phase.open }, wake];
  if (state.storeId === undefined) return range(state);
  // A range whose sums did not fit is not repaired by events: read again, ever more rarely.
  if (isLive(state) && !state.equal && state.mismatches > 0) return [...repair(state)];
  return isStale(state, now) ? [{ type: "probe" }, wake] : [wake];
}
