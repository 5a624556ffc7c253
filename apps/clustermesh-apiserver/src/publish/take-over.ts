/**
 * Takes over publishing: inspects the store, writes this instance's fence and head, then loads the records.
 *
 *   Connecting ─► TakingOver | Loading | Standby | Refused
 */
import { CONFIG_KEY, FENCE_KEY, HEAD_KEY, STORE_KEY } from "@isthmus/kvstore";
import { printable } from "@isthmus/model";
import { Fence, type Head, HeadState } from "@isthmus/proto";
import { differingKinds, exportedKinds, isStoreId, STORE_KINDS, sameBytes } from "@isthmus/records";
import type { EventOf, PublisherEffect, PublisherEvent, Write } from "./events.js";
import { pump, withHead } from "./inflight.js";
import { compares, configDirty, headOf, readFence } from "./meta-keys.js";
import { larger, type PublisherState } from "./state.js";
import { createStoreView, type StoreView } from "./store-view.js";
import { refuse, stepDown } from "./transitions.js";
import { compareAll } from "./wanted.js";

/** Connecting -> TakingOver, Loading, Standby or Refused; stays in Connecting to claim an id that is free. */
export function onInspected(state: PublisherState, event: EventOf<"inspected">): PublisherEffect[] {
  const { options } = state;
  state.pace.recordRun(event.now);
  if (!event.authOn && options.allowOpenStore !== true) {
    return refuse(state, "Cannot publish: the store does not check who writes; turn its authentication on");
  }
  if (event.claim === undefined) return [{ type: "claim" }];
  const { name, uid } = event.claim;
  if (name !== options.claim.name || uid !== options.claim.uid) {
    const claimer = `cluster "${printable(name, 64)}" with uid "${printable(uid, 64)}"`;
    return refuse(state, `Cannot publish with cluster id ${options.clusterId}: ${claimer} has claimed it`);
  }
  // Restored from a backup: the same store id would name two different histories.
  if (event.revision < state.revision) state.renewStoreId = true;
  state.revision = event.revision;
  state.stored = createStoreView(event.entries);
  state.listedAt = event.revision;
  // Not the id that this publisher last knew: an older store was restored, or the key was modified externally.
  const storeId = state.stored.meta(STORE_KEY)?.value;
  if (storeId !== undefined && state.storeId.length > 0 && !sameBytes(storeId, state.storeId))
    state.renewStoreId = true;
  const [fence, head] = [readFence(state.stored.meta(FENCE_KEY)), headOf(state)];
  // Head sequence numbers only increase; a lower one means a restored backup, even if other writers raised the revision since.
  if (head !== undefined && head.seq < state.storedSeq) state.renewStoreId = true;
  if (fence !== undefined && fence !== options.instance && state.heldFence) {
    return stepDown(state, fence, head?.seq ?? 0n, event.now);
  }
  const syncing = head?.writer === options.instance && head.state === HeadState.HEAD_STATE_SYNCING;
  const isOwner = fence === options.instance && syncing && !state.pendingTxnPossible;
  if (isOwner && !needsStoreId(state)) return startLoading(state, event);
  return takeOver(state, event.wallMicros);
}

function needsStoreId({ stored, renewStoreId }: PublisherState): boolean {
  const storeId = stored.meta(STORE_KEY)?.value;
  return renewStoreId || storeId === undefined || !isStoreId(storeId);
}

/** Connecting -> TakingOver: writes fence and head in one txn that compares both. */
function takeOver(state: PublisherState, wallMicros: number): PublisherEffect[] {
  const { stored, options } = state;
  const old = headOf(state);
  const live = isComplete(old, stored) && !needsStoreId(state);
  state.seq = larger(state.seq, old?.seq ?? 0n);
  state.beat = larger(state.beat, old?.beat ?? 0n);
  const writes: Write[] = [
    { type: "put", key: FENCE_KEY, value: Fence.encode({ instance: options.instance }).finish() },
  ];
  if (needsStoreId(state)) {
    writes.push({ type: "put", key: STORE_KEY, value: options.newStoreId() });
  }
  if (configDirty(state)) writes.push({ type: "put", key: CONFIG_KEY, value: state.config });
  const flight = withHead(
    state,
    writes,
    live ? HeadState.HEAD_STATE_LIVE : HeadState.HEAD_STATE_SYNCING,
    0,
    wallMicros,
  );
  state.phase = { status: "TakingOver", flight, live };
  return [
    { type: "txn", id: flight.id, compares: compares(state, FENCE_KEY, HEAD_KEY, STORE_KEY), writes: flight.writes },
  ];
}

/**
 * True when the old head has a sum of every kind that this version exports, equal to the stored records: the new head may be
 * LIVE at once. The head of an older version lacks kinds. With the first LIVE head that has their sums, a missing record of these
 * kinds counts as deleted, so their records must be written before it.
 */
function isComplete(head: Head | undefined, stored: StoreView): boolean {
  if (head?.state !== HeadState.HEAD_STATE_LIVE) return false;
  const exported = exportedKinds(head.sums);
  return (
    STORE_KINDS.every((kind) => exported.has(kind)) && differingKinds(head.sums, stored.sumsAfter([])).length === 0
  );
}

/** Connecting -> Loading: only this instance writes, and the stored keys are known. */
function startLoading(state: PublisherState, { now, wallMicros }: PublisherEvent): PublisherEffect[] {
  state.storeId = state.stored.meta(STORE_KEY)?.value ?? state.storeId;
  state.phase = { status: "Loading", flights: new Map(), last: undefined };
  compareAll(state);
  return [{ type: "watch", from: state.listedAt + 1n }, ...pump(state, now, wallMicros)];
}
