/** The reader's state for one peer. */
import type { Pace } from "@isthmus/observe";
import type { Head, Position } from "@isthmus/proto";
import type { RecordTable } from "@isthmus/records";
import type { Admission } from "./admission.js";
import type { Budget } from "./budget.js";
import type { PendingEvents, PendingLimits } from "./pending-events.js";
import type { Skew } from "./skew.js";
import type { Unverified } from "./unverified.js";

export const BEAT_MS = 5_000;
/** Three missed beats. */
export const STALE_MS = 3 * BEAT_MS;
/** After so many beats a publisher that found its store set back has written what was missing. */
export const BEATS_TO_BELIEVE = 2n;
/** Ids of stores left before that are remembered. */
export const LEFT_STORES = 64;
export const NOTHING_SEEN = { seq: 0n, writer: "" } as const;
/** Pace of listings of one peer, whatever it writes. */
export const RELIST = { minMs: 200, maxMs: 30_000, quietMs: 60_000 } as const;
export const BLOCKED_RETRY_MS = 10_000;
/** Longest interval between listings of a peer over budget. */
export const OVER_BUDGET_RETRY_MS = 300_000;
/** The newest version of records that this reader understands. */
export const READER_VERSION = 1;

export interface ReaderOptions {
  readonly cluster: string;
  readonly clusterId: number;
  readonly admission: Admission;
  readonly random?: () => number;
  /** DEFAULT_BUDGET when absent. */
  readonly budget?: Budget;
  /** What may wait for a check of the store; HELD_LIMITS when absent. */
  readonly held?: PendingLimits;
}

export type Phase =
  | { readonly status: "Idle" }
  /** A range is on its way (`asked`), or waits for its turn. `refusal`: the sentence for which the peer was blocked before. */
  | { readonly status: "Listing"; asked: boolean; readonly refusal?: string | undefined }
  /** The watch runs. Until the store of the newest stream is known, events are held. */
  | { readonly status: "Following"; open: number; checked: number; held: PendingEvents }
  | { readonly status: "Blocked"; readonly sentence: string }
  | { readonly status: "Removed" };

export interface ReaderState {
  readonly options: ReaderOptions;
  phase: Phase;
  /** Expected uid of the peer; "" = any. */
  uid: string;
  /** What stands in the store, as far as we know: the refused included. */
  received: RecordTable;
  /** Keys whose state in a listing is unverified; they count in the budget. */
  unverified: Unverified;
  storeId: Uint8Array | undefined;
  /** What positions name in the place of the id, in a store that was restored and goes on under it. */
  lineage: Uint8Array | undefined;
  /** Ids that this peer's store had before, in hexadecimal, the newest last: who has one of them again is a backup. */
  readonly leftStores: Set<string>;
  /** The store has another id than what was handed on, and no LIVE head was proved in it: it may be a backup that is loaded. */
  doubting: boolean;
  /** Of what was last handed on. */
  position: Position | undefined;
  revision: bigint;
  head: Head | undefined;
  headRevision: bigint;
  /** The highest seq of a head seen of this store, and whose: a head below it is one of the past. */
  newest: Pick<Head, "seq" | "writer">;
  /** The beat of a head of the past, and when it was first seen, by our monotonic clock. */
  past: { readonly beat: bigint; readonly at: number } | undefined;
  /** When the head last changed, by our monotonic clock. */
  beatAt: number | undefined;
  /** The head is LIVE and its sums are those of `received`. */
  equal: boolean;
  /** When the peer may be listed again. */
  readonly pace: Pace;
  repairs: number;
  /** How often more news came than may wait for a check. */
  overflows: number;
  failures: number;
  /** Listings in a row that ended over budget. */
  overBudget: number;
  /** The stream is open. */
  connected: boolean;
  message: string;
  /** Why the peer as such may not be followed, by the operator's objects. */
  blocked: string | undefined;
  readonly skew: Skew;
}
