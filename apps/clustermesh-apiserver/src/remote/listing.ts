/**
 * The Listing and Blocked states: reads all keys under the peer's prefix at one revision, and decides whether the peer may
 * be followed.
 *
 *   * ─► Listing ─► Following | Blocked
 */
import { createHash } from "node:crypto";
import { HEAD_KEY, STORE_KEY } from "@isthmus/kvstore";
import { printable } from "@isthmus/model";
import type { ClusterClaim, Head } from "@isthmus/proto";
import { isStoreId, RECORD_VERSION, readHead, STORE_ID_BYTES } from "@isthmus/records";
import { backoffMs } from "@isthmus/runtime";
import { emit } from "./emit.js";
import type { EventOf, ReaderEffect } from "./events.js";
import { retryMs, wakeMs } from "./freshness.js";
import { isOverBudgetWith } from "./over-budget.js";
import { createPendingEvents } from "./pending-events.js";
import { compareSums, judgeKeys, replacementOf, replaceReceived, takeHead, verify } from "./received-records.js";
import { enterStore, isFromBackup, sameStore, trustedInMs } from "./restore-detection.js";
import { BLOCKED_RETRY_MS, NO_HEAD, OVER_BUDGET_RETRY_MS, type ReaderState } from "./state.js";

/** * -> Listing: at once, or when the peer's pace allows. */
export function list(state: ReaderState, now: number): ReaderEffect[] {
  const ms = state.pace.waitMs(now);
  if (ms === 0 || state.blocked !== undefined) return listNow(state);
  state.phase = { status: "Listing", asked: false, refusal: refusalInForce(state) };
  return [{ type: "unwatch" }, { type: "wake", ms }];
}

/** * -> Listing whatever the pace says; * -> Blocked when the operator's objects refuse the peer. */
export function listNow(state: ReaderState): ReaderEffect[] {
  if (state.blocked !== undefined) return block(state, state.blocked);
  state.phase = { status: "Listing", asked: true, refusal: refusalInForce(state) };
  return [{ type: "unwatch" }, { type: "list" }];
}

/** Why the peer is blocked. Kept during a listing that may unblock it, so that the status does not change with each attempt. */
export function refusalInForce({ phase }: Pick<ReaderState, "phase">): string | undefined {
  if (phase.status === "Blocked") return phase.sentence;
  return phase.status === "Listing" ? phase.refusal : undefined;
}

/** * -> Blocked: received records stay, no new ones are accepted. */
export function block(state: ReaderState, sentence: string): ReaderEffect[] {
  state.phase = { status: "Blocked", sentence };
  return [{ type: "unwatch" }, { type: "wake", ms: BLOCKED_RETRY_MS }];
}

/** * -> Blocked: the peer is over its budget and is listed again with a growing back-off. */
export function blockOverBudget(state: ReaderState, sentence: string): ReaderEffect[] {
  state.phase = { status: "Blocked", sentence };
  const ms = backoffMs(state.overBudget++, { minMs: BLOCKED_RETRY_MS, maxMs: OVER_BUDGET_RETRY_MS, jitter: 0 });
  return [{ type: "unwatch" }, { type: "wake", ms }];
}

/** Listing -> Following or Blocked */
export function onListed(state: ReaderState, event: EventOf<"listed">): ReaderEffect[] {
  state.pace.recordRun(event.now);
  if (event.unchecked === true) return block(state, unchecked(state));
  const metas = new Map(event.metas.map((meta) => [meta.key, meta]));
  const headMeta = metas.get(HEAD_KEY);
  const head = headMeta === undefined ? undefined : readHead(headMeta.value);
  const storeId = metas.get(STORE_KEY)?.value;
  const refusal = refusePeer(state, event.claim, head) ?? refuseStoreId(state, storeId);
  if (refusal !== undefined) return block(state, refusal);
  const { revision, now } = event;
  if (isFromBackup(state, { storeId, head, headMeta, revision, now })) {
    state.message = `The store was set back to an older state: waiting for the publisher of cluster "${state.options.cluster}"`;
    state.phase = { status: "Listing", asked: false };
    const [ms, believable = 0] = [Math.max(retryMs(state), state.pace.waitMs(now)), trustedInMs(state, now)];
    return [{ type: "wake", ms: believable > 0 ? Math.min(ms, believable) : ms }];
  }
  const changed = !sameStore(state.storeId, storeId);
  // Without a store id there is no position to emit records under; the received records stay as emitted.
  const next =
    storeId && replacementOf(state, event.records, changed ? state.position !== undefined : state.unverifiedStore);
  const over = next && isOverBudgetWith(state, next, head);
  if (over !== undefined) return blockOverBudget(state, over);
  if (changed) enterStore(state, storeId);
  else if (state.backup !== undefined && storeId !== undefined) state.positionStoreId = lineageOf(storeId, head);
  if (storeId !== undefined && (changed || state.backup !== undefined)) state.newestHead = NO_HEAD;
  state.backup = undefined;
  state.message = "";
  state.failures = 0;
  state.overBudget = 0;
  state.revision = event.revision;
  const again = takeHead(state, headMeta, event.now);
  const effects: ReaderEffect[] = [{ type: "watch", from: event.revision + 1n }];
  if (next !== undefined) {
    const content = replaceReceived(state, next);
    compareSums(state);
    const verified = verify(state);
    // The records of the listing first: one that differs from what was refused is judged by now.
    const { upserts: late } = judgeKeys(state, again);
    const upserts = content.upserts.concat(verified.upserts, late);
    const deletes = content.deletes.concat(verified.deletes);
    effects.push(emit(state, upserts, deletes, 0));
  }
  state.phase = { status: "Following", open: 0, checked: 0, held: createPendingEvents(state.options.pendingLimits) };
  return [...effects, { type: "wake", ms: wakeMs(state, event.now) }];
}

/** A restored store keeps its id and reuses revisions: positions name it by another id, so that older positions do not match. */
function lineageOf(storeId: Uint8Array, head: Head | undefined): Uint8Array {
  const hash = createHash("sha256").update(storeId);
  return hash.update(`${head?.writer} ${head?.seq}`).digest().subarray(0, 16);
}

/** Why the peer may not be followed, by its claim or head: name, uid or version. Undefined: it may. */
export function refusePeer(
  { options, uid: expected }: ReaderState,
  claim: ClusterClaim | undefined,
  head: Head | undefined,
): string | undefined {
  const cannot = `Cannot follow cluster "${options.cluster}"`;
  if (claim !== undefined && claim.name !== options.cluster) {
    return `${cannot}: its id ${options.clusterId} is claimed by cluster "${printable(claim.name, 64)}"`;
  }
  for (const uid of [claim?.uid, head?.clusterUid]) {
    if (uid !== undefined && expected !== "" && uid !== expected) {
      return `${cannot}: its uid is "${printable(uid, 64)}", its MeshPeer says "${expected}"`;
    }
  }
  if (head !== undefined && head.minReader > RECORD_VERSION) {
    return `${cannot}: its records need a reader of version ${head.minReader}, this is ${RECORD_VERSION}`;
  }
  return undefined;
}

/** Positions and floors hold 16 bytes: with another length, two ids could be equal in them. */
function refuseStoreId({ options }: ReaderState, storeId: Uint8Array | undefined): string | undefined {
  if (storeId === undefined || isStoreId(storeId)) return undefined;
  const { cluster } = options;
  const zeros = storeId.length === STORE_ID_BYTES ? "zeros" : `${storeId.length} bytes`;
  const holds = `its key "store" holds ${zeros} where an id has ${STORE_ID_BYTES} random bytes`;
  return `Cannot follow cluster "${cluster}": ${holds}; delete the key, and the publisher of "${cluster}" writes another`;
}

/** A wiped store that was not provisioned again: any client may write in the name of any cluster. */
function unchecked({ options }: ReaderState): string {
  return `Cannot follow cluster "${options.cluster}": the store does not check who writes; turn its authentication on`;
}
