/**
 * Events and effects of the publisher's core. Keys are relative to the cluster's prefix; times come with the events.
 */
import type { ClusterClaim } from "@isthmus/proto";
import type { ExportChange } from "./export-source.js";

/** A key as stored. */
export interface StoredKey {
  /** Relative to the cluster's prefix, except in `head-read`, which has the whole keys. */
  readonly key: string;
  /** The stored bytes, not decoded; empty for a deleted key. */
  readonly value: Uint8Array;
  /** The revision that last wrote the key; of a deleted key, that of the deletion. */
  readonly modRevision: bigint;
}

export interface Compare {
  /** Relative to the cluster's prefix; the core compares head, fence and store id only. */
  readonly key: string;
  /** 0: absent. */
  readonly modRevision: bigint;
}

export type Write =
  | { readonly type: "put"; readonly key: string; readonly value: Uint8Array }
  | { readonly type: "delete"; readonly key: string };

export type PublisherEvent = { readonly now: number; readonly wallMicros: number } & (
  | { readonly type: "start" }
  | { readonly type: "changed"; readonly change: ExportChange }
  /** This cluster's config record has changed; `config` holds its new bytes. */
  | { readonly type: "configured"; readonly config: Uint8Array }
  /** Answer to `inspect`: whether authentication is on, the claim of this cluster's id, and its keys at `revision`. */
  | {
      readonly type: "inspected";
      readonly authOn: boolean;
      readonly claim: ClusterClaim | undefined;
      readonly entries: readonly StoredKey[];
      readonly revision: bigint;
    }
  /** Answer to `claim`: it was attempted; inspect again for the outcome. */
  | { readonly type: "claimed" }
  | { readonly type: "committed"; readonly id: number; readonly revision: bigint }
  /** The comparison failed: nothing was written. */
  | { readonly type: "rejected"; readonly id: number }
  /** `mayHaveHappened`: the answer was lost. `full`: the store has no space. */
  | {
      readonly type: "failed";
      readonly id: number;
      readonly sentence: string;
      readonly mayHaveHappened: boolean;
      readonly full?: boolean;
    }
  /** `inspect`, `claim` or `read-head` failed. */
  | { readonly type: "unanswered"; readonly sentence: string }
  /** Answer to `read-head`. */
  | { readonly type: "head-read"; readonly head: StoredKey | undefined; readonly fence: StoredKey | undefined }
  /** Watch events of the cluster's prefix, from this or another writer; complete revisions. */
  | { readonly type: "seen"; readonly events: readonly (StoredKey & { readonly deleted: boolean })[] }
  /** The watch of the cluster's prefix cannot continue: compacted, set back, or refused. */
  | { readonly type: "watch-over"; readonly sentence: string }
  /** The time of a `wake` effect has passed. */
  | { readonly type: "tick" }
);

export type PublisherEffect =
  | { readonly type: "inspect" }
  | { readonly type: "claim" }
  | { readonly type: "read-head" }
  | {
      readonly type: "txn";
      readonly id: number;
      readonly compares: readonly Compare[];
      readonly writes: readonly Write[];
    }
  /** Watch the cluster's prefix from this revision on; replaces an older watch. */
  | { readonly type: "watch"; readonly from: bigint }
  /** Send `tick` after `ms`; replaces an older wake. */
  | { readonly type: "wake"; readonly ms: number };

/** An event without the times, which the shell adds. */
export type NewPublisherEvent<E = PublisherEvent> = E extends PublisherEvent ? Omit<E, "now" | "wallMicros"> : never;

export type EventOf<T extends PublisherEvent["type"]> = Extract<PublisherEvent, { type: T }>;
