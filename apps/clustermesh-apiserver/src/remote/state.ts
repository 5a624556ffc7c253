/** The reader's state for one peer. */

import type { Head, Position } from "@isthmus/proto";
import type { RecordTable } from "@isthmus/records";
import type { Pace } from "@isthmus/runtime";
import type { Admission } from "./admission.js";
import type { Budget } from "./budget.js";
import type { PendingEvents, PendingLimits } from "./pending-events.js";
import type { Skew } from "./skew.js";
import type { Unverified } from "./unverified.js";

/** After this many beats the publisher of a restored store has written what was missing. */
export const BEATS_TO_TRUST = 2n;
/** How many ids of previous stores are remembered. */
export const LEFT_STORES = 64;
export const NO_HEAD = { seq: 0n, writer: "" } as const;
/** Pace of listings of one peer, independent of what it writes. */
export const RELIST = { minMs: 200, maxMs: 30_000, quietMs: 60_000 } as const;
export const BLOCKED_RETRY_MS = 10_000;
/** Longest interval between listings of a peer over budget. */
export const OVER_BUDGET_RETRY_MS = 300_000;

export interface ReaderOptions {
  /** The peer's name, for sentences and to compare with the claim. */
  readonly cluster: string;
  /** The peer's id, for sentences and reports. */
  readonly clusterId: number;
  /** Of this peer alone. */
  readonly admission: Admission;
  /** In [0, 1), for jitter; Math.random when absent. */
  readonly random?: () => number;
  /** DEFAULT_BUDGET when absent. */
  readonly budget?: Budget;
  /** Bounds of events that wait for a check of the store; PENDING_LIMITS when absent. */
  readonly pendingLimits?: PendingLimits;
}

export type Phase =
  | { readonly status: "Idle" }
  /** A listing runs (`asked`) or waits until it is due. `refusal`: why the peer was blocked before. */
  | { readonly status: "Listing"; asked: boolean; readonly refusal?: string | undefined }
  /** The watch runs. Events wait in `held` until the store of the newest stream is checked. */
  | { readonly status: "Following"; open: number; checked: number; held: PendingEvents }
  | { readonly status: "Blocked"; readonly sentence: string }
  | { readonly status: "Removed" };

export interface ReaderState {
  /** As given to `createReaderState`. */
  readonly options: ReaderOptions;
  /** What the reader does now; step.ts shows the transitions. */
  phase: Phase;
  /** Expected uid of the peer; "" = any. */
  uid: string;
  /** Records in the store as far as received, refused ones included. */
  received: RecordTable;
  /** Keys whose state in a listing is unverified; they count towards the budget. */
  unverified: Unverified;
  /** Of the store that was read last; undefined before the first listing, and while the store has none. */
  storeId: Uint8Array | undefined;
  /** Replaces the store id in positions after a restored store kept its id. */
  positionStoreId: Uint8Array | undefined;
  /** Previous ids of this peer's store, in hexadecimal, newest last: a store that has one of them again is a backup. */
  readonly leftStores: Set<string>;
  /** The store has another id than the emitted records, and no LIVE head was verified in it: it may be a backup. */
  unverifiedStore: boolean;
  /** Position of the last emitted change. */
  position: Position | undefined;
  /** All changes up to this one are applied; 0n before the first listing. */
  revision: bigint;
  /** The newest head that was received; undefined when it is absent or cannot be decoded. */
  head: Head | undefined;
  /** The revision that wrote the head; 0n when it is absent. */
  headRevision: bigint;
  /** The highest sequence number of a head of this store, and its writer: a head below it is from a backup. */
  newestHead: Pick<Head, "seq" | "writer">;
  /** Beat of a head from a backup, and when it was first received, by the monotonic clock. */
  backup: { readonly beat: bigint; readonly at: number } | undefined;
  /** When the head last changed, by the monotonic clock. */
  beatAt: number | undefined;
  /** The head is LIVE and its sums are those of `received`. */
  sumsMatch: boolean;
  /** When the peer may be listed again. */
  readonly pace: Pace;
  /** How often the store was listed because the sums differed. */
  repairs: number;
  /** How often more events arrived than may wait for a check. */
  overflows: number;
  /** Retries since the last listing or check that succeeded, which determine the back-off. */
  failures: number;
  /** Consecutive listings that ended over budget. */
  overBudget: number;
  /** A sentence about the last failure or the reason for listing again; "" when there is none. */
  message: string;
  /** Why the peer may not be followed according to the operator's objects. */
  blocked: string | undefined;
  /** Of the peer's wall clock, for times in its heads. */
  readonly skew: Skew;
}
