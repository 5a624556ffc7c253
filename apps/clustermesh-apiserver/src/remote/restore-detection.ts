/**
 * Decides whether a store's content is old because a backup was restored.
 *
 * A restored store holds a LIVE head with matching sums, but both are old, so they must not delete newer records. A publisher
 * that notices the restore gives the store another id at once. A publisher that started later continues from the old head and
 * writes what is missing. Its head is current once it has beaten, since a beat means that no write is due.
 */
import type { Head } from "@isthmus/proto";
import { BEAT_MS, sameBytes } from "@isthmus/records";
import type { Meta } from "./events.js";
import { BEATS_TO_TRUST, LEFT_STORES, type ReaderState } from "./state.js";

/** Allowance for a late beat. */
const LATE_MS = 500;

export interface ListedStore {
  /** Undefined: the store has none. */
  readonly storeId: Uint8Array | undefined;
  /** Undefined: absent, or it cannot be decoded. */
  readonly head: Head | undefined;
  /** `head` as stored, with the revision that wrote it. */
  readonly headMeta: Meta | undefined;
  /** The revision at which the store was listed. */
  readonly revision: bigint;
  /** Monotonic ms. */
  readonly now: number;
}

/** True when the listed content is from a restored backup; `state.backup` then has since when it waits for beats. */
export function isFromBackup(state: ReaderState, { storeId, head, headMeta, revision, now }: ListedStore): boolean {
  const [same, left] = [sameStore(state.storeId, storeId), hasLeft(state, storeId)];
  if (head === undefined || headMeta === undefined) return left || (same && revision < state.revision);
  const onward = !isBelow(state, head) && (!same || headMeta.modRevision >= state.headRevision);
  if (onward && !left && state.backup === undefined) return false;
  const { backup } = state;
  // Beats that decreased, or increased faster than one per BEAT_MS, mean another backup.
  const jumped = backup !== undefined && Number(head.beat - backup.beat) > (now - backup.at) / BEAT_MS + 1;
  if (backup === undefined || jumped || head.beat < backup.beat) state.backup = { beat: head.beat, at: now };
  return head.beat < (state.backup?.beat ?? 0n) + BEATS_TO_TRUST;
}

/** Milliseconds until the publisher of a restored store can have beaten often enough; undefined: no backup was detected. */
export function trustedInMs({ backup }: Pick<ReaderState, "backup">, now: number): number | undefined {
  return backup === undefined ? undefined : Math.max(0, backup.at + Number(BEATS_TO_TRUST) * BEAT_MS + LATE_MS - now);
}

/** Head sequence numbers only increase and are never reused: a lower one, or the same from another writer, means a backup. */
export function isBelow({ newestHead }: Pick<ReaderState, "newestHead">, { seq, writer }: Head): boolean {
  return seq < newestHead.seq || (seq === newestHead.seq && newestHead.writer !== "" && writer !== newestHead.writer);
}

/** Switches to another store, or to one that lost its id. Emitted records are of the previous store. */
export function enterStore(state: ReaderState, storeId: Uint8Array | undefined): void {
  const { leftStores } = state;
  if (state.storeId !== undefined) leftStores.add(idOf(state.storeId));
  if (storeId !== undefined) leftStores.delete(idOf(storeId));
  for (const oldest of leftStores) if (leftStores.size > LEFT_STORES) leftStores.delete(oldest);
  state.storeId = storeId;
  state.positionStoreId = undefined;
  state.unverifiedStore = state.position !== undefined;
}

function hasLeft({ leftStores }: ReaderState, storeId: Uint8Array | undefined): boolean {
  return storeId !== undefined && leftStores.has(idOf(storeId));
}

function idOf(storeId: Uint8Array): string {
  return Buffer.from(storeId).toString("hex");
}

/** True when the ids are equal; two absent ones are. */
export function sameStore(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameBytes(a, b);
}
