/**
 * Everything under the peer's prefix at one revision, and whether the peer may be followed at all.
 *
 *   * ─► Ranging ─► Following | Barred
 */
import { HEAD_KEY, STORE_KEY } from "@isthmus/kvstore";
import type { ClusterClaim, Head } from "@isthmus/proto";
import { sameBytes } from "@isthmus/records";
import type { EventOf, Meta, ReaderEffect } from "./events.js";
import { backoffMs, wakeMs } from "./freshness.js";
import { emit } from "./hand-on.js";
import { createHeld } from "./held.js";
import { compareSums, decodeHead, prove, replaceReceived, takeHead } from "./received.js";
import { BARRED_RETRY_MS, BEATS_TO_BELIEVE, READER_VERSION, type ReaderState } from "./state.js";

/** * -> Ranging */
export function range(state: ReaderState): ReaderEffect[] {
  if (state.barred !== undefined) return bar(state, state.barred);
  state.phase = { status: "Ranging" };
  return [{ type: "unwatch" }, { type: "range" }];
}

/** * -> Barred: what we have stays, nothing new is taken. */
export function bar(state: ReaderState, sentence: string): ReaderEffect[] {
  state.phase = { status: "Barred", sentence };
  return [{ type: "unwatch" }, { type: "wake", ms: BARRED_RETRY_MS }];
}

/** Ranging -> Following or Barred */
export function onRanged(state: ReaderState, event: EventOf<"ranged">): ReaderEffect[] {
  if (event.unchecked === true) return bar(state, unchecked(state));
  const metas = new Map(event.metas.map((meta) => [meta.key, meta]));
  const headMeta = metas.get(HEAD_KEY);
  const head = headMeta === undefined ? undefined : decodeHead(headMeta.value);
  const refusal = refusePeer(state, event.claim, head);
  if (refusal !== undefined) return bar(state, refusal);
  state.connected = true;
  const storeId = metas.get(STORE_KEY)?.value;
  const [changed, left] = [!sameStore(state.storeId, storeId), hasLeft(state, storeId)];
  if ((!changed || left) && isPast(state, head, headMeta, left)) {
    state.message = `The store was set back to an older state: waiting for the publisher of cluster "${state.options.cluster}"`;
    return [{ type: "wake", ms: backoffMs(state) }];
  }
  if (state.past !== undefined || changed) state.newestSeq = 0n;
  if (changed) enter(state, storeId);
  state.past = undefined;
  state.message = "";
  state.failures = 0;
  state.revision = event.revision;
  takeHead(state, headMeta, event.now);
  const effects: ReaderEffect[] = [{ type: "watch", from: event.revision + 1n }];
  // Without a store there is no position to hand anything on under; what was received stays what was handed on.
  if (storeId !== undefined) {
    const content = replaceReceived(state, event.records);
    compareSums(state);
    const proved = prove(state);
    const [upserts, deletes] = [content.upserts.concat(proved.upserts), content.deletes.concat(proved.deletes)];
    effects.push(emit(state, upserts, deletes, 0));
  }
  state.phase = { status: "Following", open: 0, checked: 0, held: createHeld(state.options.held) };
  return [...effects, { type: "wake", ms: wakeMs(state, event.now) }];
}

function hasLeft({ leftStores }: ReaderState, storeId: Uint8Array | undefined): boolean {
  return storeId !== undefined && leftStores.has(hexOf(storeId));
}

/** Into another store, or one that lost its id. What was handed on is of the store before. */
function enter(state: ReaderState, storeId: Uint8Array | undefined): void {
  if (state.storeId !== undefined) state.leftStores.add(hexOf(state.storeId));
  if (storeId !== undefined) state.leftStores.delete(hexOf(storeId));
  state.storeId = storeId;
  state.doubting = state.position !== undefined;
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/**
 * A restored store holds a LIVE head whose sums fit, and both are of the past: nothing newer may go by their word. A publisher
 * that knows gives the store another id at once. One that started later goes on from that head, and writes what is missing
 * after it: its head is of today once it has beaten.
 */
function isPast(state: ReaderState, head: Head | undefined, meta: Meta | undefined, left: boolean): boolean {
  if (head === undefined || meta === undefined) return false;
  const newer = !left && head.seq >= state.newestSeq && meta.modRevision >= state.headRevision;
  if (newer && state.past === undefined) return false;
  state.past ??= head.beat;
  return head.beat < state.past + BEATS_TO_BELIEVE;
}

export function refusePeer(
  { options, uid: expected }: ReaderState,
  claim: ClusterClaim | undefined,
  head: Head | undefined,
): string | undefined {
  const cannot = `Cannot follow cluster "${options.cluster}"`;
  if (claim !== undefined && claim.name !== options.cluster) {
    return `${cannot}: its id ${options.clusterId} is claimed by cluster "${claim.name}"`;
  }
  for (const uid of [claim?.uid, head?.clusterUid]) {
    if (uid !== undefined && expected !== "" && uid !== expected) {
      return `${cannot}: its uid is "${uid}", its MeshPeer says "${expected}"`;
    }
  }
  if (head !== undefined && head.minReader > READER_VERSION) {
    return `${cannot}: its records need a reader of version ${head.minReader}, this is ${READER_VERSION}`;
  }
  return undefined;
}

/** A wiped store that nobody provisioned: whoever comes first may write as anyone. */
function unchecked({ options }: ReaderState): string {
  return `Cannot follow cluster "${options.cluster}": the store does not check who writes; turn its authentication on`;
}

export function sameStore(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameBytes(a, b);
}
