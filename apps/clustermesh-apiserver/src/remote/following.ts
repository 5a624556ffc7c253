/**
 * The Following state: checks the store of each watch stream, applies complete revisions, and compares the sums after each
 * revision that changes the head.
 *
 *   Following ─► Listing        other store id, restored store, sums that differ, stalled watch
 */
import { HEAD_KEY, STORE_KEY } from "@isthmus/kvstore";
import { type HashedRecord, readHead } from "@isthmus/records";
import { emit } from "./emit.js";
import type { EventOf, ReaderEffect, ReaderEvent, WatchedChange } from "./events.js";
import { block, blockOverBudget, list, refusePeer } from "./listing.js";
import { isOverBudget } from "./over-budget.js";
import { createPendingEvents } from "./pending-events.js";
import {
  applyRecord,
  compareSums,
  type DeletedRecord,
  differs,
  judgeKeys,
  takeHead,
  verify,
} from "./received-records.js";
import { isBelow, sameStore } from "./restore-detection.js";
import type { ReaderState } from "./state.js";

/**
 * A new stream: its events are applied once its store is checked. Events of an earlier stream whose store was not checked are
 * dropped, since that may have been another store; the new stream begins after them, so the store is then listed.
 */
export function onOpened(state: ReaderState, { open }: EventOf<"opened">): ReaderEffect[] {
  const { phase } = state;
  if (phase.status !== "Following") return [];
  phase.held.drop();
  phase.open = open;
  return [{ type: "check-store", open }];
}

/** Events of a stream are applied only once its store has the expected id: a wiped store may be at any revision. */
export function onStoreChecked(state: ReaderState, event: EventOf<"store-checked">): ReaderEffect[] {
  const { phase } = state;
  if (phase.status !== "Following" || !isFollowing(state, event.open)) return [];
  if (event.unchecked === true) return list(state, event.now);
  if (!sameStore(state.storeId, event.storeId) || event.revision < state.revision) {
    state.message = "The store was wiped or restored: reading it again";
    return list(state, event.now);
  }
  phase.checked = event.open;
  state.message = "";
  state.failures = 0;
  const { held } = phase;
  if (held.dropped) return list(state, event.now);
  phase.held = createPendingEvents(state.options.pendingLimits);
  return held.events.length === 0 ? [] : apply(state, held.events, held.revision, event);
}

/** Applies the events, or keeps them while the stream's store is not checked; too many of them end the watch. */
export function onSeen(state: ReaderState, event: EventOf<"seen">): ReaderEffect[] {
  const { phase } = state;
  if (phase.status !== "Following") return [];
  if (phase.checked === phase.open) return apply(state, event.events, event.revision, event);
  if (phase.held.dropped) return [];
  phase.held.add(event.events, event.revision);
  if (!phase.held.dropped) return [];
  state.overflows++;
  state.message = "Too many events arrived before the store's id was checked: reading the store again after the check";
  return [{ type: "unwatch" }];
}

/** Applies complete revisions and compares the sums after each one that changes the head. */
function apply(
  state: ReaderState,
  events: readonly WatchedChange[],
  revision: bigint,
  at: ReaderEvent,
): ReaderEffect[] {
  // All reasons to refuse the batch are checked before anything is applied: what is received must also be emitted.
  if (events.some(({ key }) => key === STORE_KEY)) return storeChanged(state, at.now);
  if (state.storeId === undefined) return []; // a position needs a store id, which the watch will report
  let { newestHead } = state;
  for (const { key, value, deleted } of events) {
    const head = key === HEAD_KEY && !deleted ? readHead(value) : undefined;
    const refusal = refusePeer(state, undefined, head);
    if (refusal !== undefined) return block(state, refusal);
    if (head !== undefined && isBelow({ newestHead }, head)) return setBack(state, at.now);
    newestHead = head ?? newestHead;
  }
  const upserts = new Map<string, HashedRecord>();
  const deletes = new Map<string, DeletedRecord>();
  let [observed, heads, touched] = [0, 0, false];
  for (const [i, event] of events.entries()) {
    if (event.key === HEAD_KEY) {
      const again = judgeKeys(state, takeHead(state, event.deleted ? undefined : event, at.now));
      for (const record of again.upserts) upserts.set(record.key, record);
      observed = Math.max(observed, Number(state.head?.observedUs ?? 0n));
      touched = true;
      heads++;
    } else applyRecord(state, event, upserts, deletes);
    if (!touched || events[i + 1]?.modRevision === event.modRevision) continue;
    compareSums(state);
    touched = false;
  }
  state.revision = revision;
  if (heads === 1 && state.head !== undefined) state.skew.add(Number(state.head.writtenUs), at.wallMicros);
  const verified = verify(state);
  for (const record of verified.upserts) upserts.set(record.key, record);
  for (const deleted of verified.deletes) deletes.set(deleted.key, deleted);
  const corrected = observed === 0 ? 0 : observed + state.skew.micros;
  const effects: ReaderEffect[] = [emit(state, [...upserts.values()], [...deletes.values()], corrected)];
  const over = isOverBudget(state);
  if (over !== undefined) return [...effects, ...blockOverBudget(state, over)];
  return differs(state) ? [...effects, ...repairWhenDue(state, at.now)] : effects;
}

function storeChanged(state: ReaderState, now: number): ReaderEffect[] {
  state.message = "The store's id changed: reading it again";
  return list(state, now);
}

/**
 * Head sequence numbers only increase: a lower one means a restored backup, even if the revision is higher, because other
 * clusters write to the same store.
 */
function setBack(state: ReaderState, now: number): ReaderEffect[] {
  state.message = "The store was set back to an older state: reading it again";
  return list(state, now);
}

/** Lists again to repair a difference: the first time at once, later when the pace allows. The watch continues meanwhile. */
export function repairWhenDue(state: ReaderState, now: number): ReaderEffect[] {
  const ms = state.pace.waitMs(now);
  if (ms > 0) return [{ type: "wake", ms }];
  state.repairs++;
  return list(state, now);
}

/** The source is stale although the store has a newer head: the watch is stalled. */
export function onProbed(state: ReaderState, { headRevision, now }: EventOf<"probed">): ReaderEffect[] {
  if (state.phase.status !== "Following" || headRevision <= state.revision) return [];
  state.message = "The watch is stalled although the store has newer revisions: reading the store again";
  return list(state, now);
}

/** True when `open` is the number of the newest stream; results for another one are ignored. */
export function isFollowing({ phase }: ReaderState, open: number): boolean {
  return phase.status === "Following" && phase.open === open;
}
