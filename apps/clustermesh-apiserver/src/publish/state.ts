/** The publisher's state: one variant per status, with only what is valid there. */
import type { Pace } from "@isthmus/observe";
import type { ClusterClaim } from "@isthmus/proto";
import type { RecordTable } from "@isthmus/records";
import type { DirtySet } from "./dirty-set.js";
import type { Write } from "./events.js";
import type { StoreView } from "./store-view.js";

export interface PublisherOptions {
  readonly clusterId: number;
  /** This cluster's claim: its name and the uid of its kube-system namespace. */
  readonly claim: ClusterClaim;
  /** This process; a new one for every start. */
  readonly instance: string;
  /** The bytes of the config record at the start. */
  readonly config: Uint8Array;
  /** Of the identity allocator; "" = none yet. */
  readonly epoch: () => string;
  /** A random store id, 16 bytes, for a store that has none. */
  readonly newStoreId: () => Uint8Array;
  /** Age of the last contact with Kubernetes, milliseconds. */
  readonly kubeAgeMs: () => number;
  /** True while this instance holds the Lease, so that no other may write; absent: false. */
  readonly hasLease?: () => boolean;
  /** Write although the store checks nobody; false when absent. */
  readonly allowOpenStore?: boolean;
  /** In [0, 1). */
  readonly random?: () => number;
}

export const BEAT_MS = 5_000;
/** A writer whose head did not change for this long is gone. */
export const SILENT_MS = 3 * BEAT_MS;
export const REFUSED_RETRY_MS = 5_000;
/** The longest wait before a failed call is repeated; longer where a store without room would be listed again. */
export const RETRY_MS = 2_000;
export const FULL_RETRY_MS = 10_000;
/** Pace of listings of the own prefix when it is modified externally again and again. */
export const RELIST = { minMs: 100, maxMs: 5_000, quietMs: 60_000 } as const;
/** Bulk txns in flight while loading. */
export const PIPELINE = 4;

/** A txn on its way. */
export interface Flight {
  readonly id: number;
  /** Relative keys, the head's included. */
  readonly writes: readonly Write[];
  /** Of the head it writes; undefined for a bulk txn. */
  readonly seq: bigint | undefined;
}

export type Phase =
  | { readonly status: "Off" }
  /** Waiting for `inspected` or `claimed`, or for the next try. */
  | { readonly status: "Connecting" }
  /** The txn that puts fence and head is on its way. */
  | { readonly status: "TakingOver"; readonly flight: Flight; readonly live: boolean }
  /** Ours, SYNCING: bulk txns on their way; `last` is the one that makes it LIVE. */
  | { readonly status: "Loading"; readonly flights: Map<number, Flight>; last: Flight | undefined }
  | { readonly status: "Live"; flight: Flight | undefined; beatAt: number }
  /** A live txn was rejected or its answer got lost: the head says whether it happened. */
  | { readonly status: "Resolving"; readonly flight: Flight }
  /** Another instance writes; since when its head stands still. */
  | { readonly status: "Standby"; readonly writer: string; readonly seq: bigint; readonly since: number }
  | { readonly status: "Refused" };

export interface PublisherState {
  readonly options: PublisherOptions;
  phase: Phase;
  /** The bytes of the config record. */
  config: Uint8Array;
  readonly wanted: RecordTable;
  readonly dirty: DirtySet;
  stored: StoreView;
  /** Of our newest head, written or tried: every try has its own. */
  seq: bigint;
  beat: bigint;
  /** Of our newest head that stood in the store. */
  landedSeq: bigint;
  /** Newest revision heard of: below it, the store was set back. */
  revision: bigint;
  storeId: Uint8Array;
  message: string;
  /** Of the last head written, by the monotonic clock. */
  headAt: number | undefined;
  nextId: number;
  failures: number;
  /** When the own prefix may be listed again. */
  readonly pace: Pace;
  /** The store has no room: no head was written since it said so. */
  full: boolean;
  /** Keys that another hand altered while we wrote. */
  restored: number;
  /** After a set back: the store needs a new id although it has one. */
  renewStoreId: boolean;
  /** The revision of the last listing. */
  listedAt: bigint;
  /** Our fence stood once: whoever replaced it goes first. */
  heldFence: boolean;
  /** A txn that compares only the fence may still happen: the next listing needs a new fence before it. */
  suspect: boolean;
  /** Records that are too large for a store, by key: never published. */
  readonly tooLarge: Map<string, number>;
}

/** True while the watch of our prefix tells what stands in it. */
export function isWriting({ phase }: PublisherState): boolean {
  return phase.status === "Live" || phase.status === "Loading" || phase.status === "Resolving";
}

export function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
