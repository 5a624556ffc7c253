/**
 * Whether what a store holds is of the past: a backup that was restored.
 *
 * A restored store holds a LIVE head whose sums fit, and both are of the past: nothing newer may go by their word. A publisher
 * that knows gives the store another id at once. One that started later goes on from that head, and writes what is missing
 * after it: its head is of today once it has beaten, since a beat says that nothing is missing.
 */
import type { Head } from "@isthmus/proto";
import { sameBytes } from "@isthmus/records";
import type { Meta } from "./events.js";
import { BEAT_MS, BEATS_TO_BELIEVE, LEFT_STORES, type ReaderState } from "./state.js";

/** Allowance for a late beat. */
const LATE_MS = 500;

export interface Found {
  readonly storeId: Uint8Array | undefined;
  readonly head: Head | undefined;
  readonly headMeta: Meta | undefined;
  readonly revision: bigint;
  readonly now: number;
}

/** Remembers since when it is waited for beats. */
export function isPast(state: ReaderState, { storeId, head, headMeta, revision, now }: Found): boolean {
  const [same, left] = [sameStore(state.storeId, storeId), hasLeft(state, storeId)];
  if (head === undefined || headMeta === undefined) return left || (same && revision < state.revision);
  const onward = !isBelow(state, head) && (!same || headMeta.modRevision >= state.headRevision);
  if (onward && !left && state.past === undefined) return false;
  const { past } = state;
  // Beats that went back, or that came faster than time: another backup.
  const jumped = past !== undefined && Number(head.beat - past.beat) > (now - past.at) / BEAT_MS + 1;
  if (past === undefined || jumped || head.beat < past.beat) state.past = { beat: head.beat, at: now };
  return head.beat < (state.past?.beat ?? 0n) + BEATS_TO_BELIEVE;
}

/** Earliest time until the publisher of a restored store can have beaten often enough; undefined: no restored store is awaited. */
export function believableInMs({ past }: Pick<ReaderState, "past">, now: number): number | undefined {
  return past === undefined ? undefined : Math.max(0, past.at + Number(BEATS_TO_BELIEVE) * BEAT_MS + LATE_MS - now);
}

/** Heads only count on, and every try has its own number: the same number of another writer is that of a backup. */
export function isBelow({ newest }: Pick<ReaderState, "newest">, { seq, writer }: Head): boolean {
  return seq < newest.seq || (seq === newest.seq && newest.writer !== "" && writer !== newest.writer);
}

/** Into another store, or one that lost its id. What was handed on is of the store before. */
export function enterStore(state: ReaderState, storeId: Uint8Array | undefined): void {
  const { leftStores } = state;
  if (state.storeId !== undefined) leftStores.add(idOf(state.storeId));
  if (storeId !== undefined) leftStores.delete(idOf(storeId));
  for (const oldest of leftStores) if (leftStores.size > LEFT_STORES) leftStores.delete(oldest);
  state.storeId = storeId;
  state.lineage = undefined;
  state.doubting = state.position !== undefined;
}

function hasLeft({ leftStores }: ReaderState, storeId: Uint8Array | undefined): boolean {
  return storeId !== undefined && leftStores.has(idOf(storeId));
}

function idOf(storeId: Uint8Array): string {
  return Buffer.from(storeId).toString("hex");
}

export function sameStore(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameBytes(a, b);
}
