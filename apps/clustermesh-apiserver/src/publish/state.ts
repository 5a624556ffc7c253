/** The publisher's state: one variant per status, with only the fields that are valid there. */

import type { ClusterClaim } from "@isthmus/proto";
import type { RecordTable } from "@isthmus/records";
import type { Pace } from "@isthmus/runtime";
import type { DirtySet } from "./dirty-set.js";
import type { Write } from "./events.js";
import type { StoreView } from "./store-view.js";

export interface PublisherOptions {
  /** Named in refusals; `inspected` brings the claim of this id. */
  readonly clusterId: number;
  /** This cluster's claim: its name and the uid of its kube-system namespace. */
  readonly claim: ClusterClaim;
  /** This process; a new one for every start. */
  readonly instance: string;
  /** The bytes of the config record at the start. */
  readonly config: Uint8Array;
  /** Epoch of the local cluster and its identity allocator, for the head; "" = none yet. */
  readonly epoch: () => string;
  /** A random store id, 16 bytes, for a store that has none. */
  readonly newStoreId: () => Uint8Array;
  /** Age of the last contact with Kubernetes, milliseconds. */
  readonly kubeAgeMs: () => number;
  /** True while this instance holds the Lease, so that no other may write; absent: false. */
  readonly hasLease?: () => boolean;
  /** Write although the store has no authentication; false when absent. */
  readonly allowOpenStore?: boolean;
  /** In [0, 1). */
  readonly random?: () => number;
}

export const REFUSED_RETRY_MS = 5_000;
/** The longest wait before a failed call is retried. FULL_RETRY_MS applies where a store without space would be listed again. */
export const RETRY_MS = 2_000;
export const FULL_RETRY_MS = 10_000;
/** Pace of listings of the cluster's prefix while it is repeatedly modified externally. */
export const RELIST = { minMs: 100, maxMs: 5_000, quietMs: 60_000 } as const;
/** Bulk txns in flight while loading. */
export const PIPELINE = 4;

/** A txn in flight. */
export interface Flight {
  /** Results name their txn by it; from 1, never used twice. */
  readonly id: number;
  /** With relative keys; includes the head. */
  readonly writes: readonly Write[];
  /** seq of the head that it writes; undefined for a bulk txn. */
  readonly seq: bigint | undefined;
}

export type Phase =
  | { readonly status: "Off" }
  /** Waiting for `inspected` or `claimed`, or for the next attempt. */
  | { readonly status: "Connecting" }
  /** The txn that writes fence and head is in flight. */
  | { readonly status: "TakingOver"; readonly flight: Flight; readonly live: boolean }
  /** This instance has the fence, the head is SYNCING: bulk txns in flight; `last` writes the LIVE head. */
  | { readonly status: "Loading"; readonly flights: Map<number, Flight>; last: Flight | undefined }
  | { readonly status: "Live"; flight: Flight | undefined; beatAt: number }
  /**
   * A txn of Live was rejected or its answer was lost, or another instance wrote the fence or the head: the head shows which
   * instance writes, and whether the txn was applied. Nothing is sent meanwhile.
   */
  | { readonly status: "Resolving"; readonly flight: Flight | undefined }
  /** Another instance writes; `since`: when its head last changed. */
  | { readonly status: "Standby"; readonly writer: string; readonly seq: bigint; readonly since: number }
  | { readonly status: "Refused" };

export interface PublisherState {
  /** As given to `createPublisherState`. */
  readonly options: PublisherOptions;
  /** What the publisher does now; step.ts shows the transitions. */
  phase: Phase;
  /** The bytes of the config record. */
  config: Uint8Array;
  /** The records that the store must have: the exports without those in `tooLarge`. */
  readonly wanted: RecordTable;
  /** Keys whose wanted and stored hashes differ; computed anew whenever writing begins. */
  readonly dirty: DirtySet;
  /** The keys in the store by the last listing, the watch events since, and this publisher's own txns. */
  stored: StoreView;
  /** seq of the newest head that was attempted: every attempt has its own. */
  seq: bigint;
  /** Of the newest head that was attempted; increases only with a head that leaves no write due. */
  beat: bigint;
  /** seq of the newest head that is known to have been stored. */
  storedSeq: bigint;
  /** Newest known revision: a lower one later means that the store was set back. */
  revision: bigint;
  /** 16 bytes; empty until this publisher has taken over. */
  storeId: Uint8Array;
  /** A sentence about the last failure, resync or refusal; "" once a head is stored. */
  message: string;
  /** When the last head was written (monotonic). */
  headAt: number | undefined;
  /** The id of the next txn. */
  nextId: number;
  /** Retries since the last stored txn, which determine the back-off. */
  failures: number;
  /** Determines when the cluster's prefix may be listed again. */
  readonly pace: Pace;
  /** The store reported that it has no space, and no head was written since. */
  full: boolean;
  /** Keys that were modified externally and restored. */
  restored: number;
  /** The store was set back: it needs a new id although it has one. */
  renewStoreId: boolean;
  /** The revision of the last listing. */
  listedAt: bigint;
  /** This instance's fence was in the store: an instance that replaced it takes precedence. */
  heldFence: boolean;
  /** A txn that compares only the fence may still be applied: a new fence must be written before the next listing. */
  pendingTxnPossible: boolean;
  /** Sizes of records that are too large to publish, by key. */
  readonly tooLarge: Map<string, number>;
}

/** True while the watch keeps `stored` up to date. */
export function isWriting({ phase }: PublisherState): boolean {
  return phase.status === "Live" || phase.status === "Loading" || phase.status === "Resolving";
}

/** The maximum of two revisions or sequence numbers: Math.max takes no bigint. */
export function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
