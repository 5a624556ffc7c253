/**
 * What enters and leaves the publisher's core. Keys are relative to the cluster's prefix; times enter with the events.
 */
import type { ClusterClaim } from "@isthmus/proto";
import type { ExportChange } from "./export-source.js";

/** A key as it stands in the store. */
export interface StoredKey {
  readonly key: string;
  readonly value: Uint8Array;
  readonly modRevision: bigint;
}

export interface Compare {
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
  /** The config record of this cluster has changed: its new bytes. */
  | { readonly type: "configured"; readonly config: Uint8Array }
  /** Answer to `inspect`: who checks writes, who holds our id, and what stands under our prefix at `revision`. */
  | {
      readonly type: "inspected";
      readonly authOn: boolean;
      readonly claim: ClusterClaim | undefined;
      readonly entries: readonly StoredKey[];
      readonly revision: bigint;
    }
  /** Answer to `claim`: tried; inspect again. */
  | { readonly type: "claimed" }
  | { readonly type: "committed"; readonly id: number; readonly revision: bigint }
  /** The comparison failed: nothing was written. */
  | { readonly type: "rejected"; readonly id: number }
  /** `mayHaveHappened`: the answer got lost. `full`: the store has no room. */
  | {
      readonly type: "failed";
      readonly id: number;
      readonly sentence: string;
      readonly mayHaveHappened: boolean;
      readonly full?: boolean;
    }
  /** `inspect`, `claim` or `read-head` did not get an answer. */
  | { readonly type: "unanswered"; readonly sentence: string }
  /** Answer to `read-head`. */
  | { readonly type: "head-read"; readonly head: StoredKey | undefined; readonly fence: StoredKey | undefined }
  /** Our prefix changed, by us or by another; complete revisions. */
  | { readonly type: "seen"; readonly events: readonly (StoredKey & { readonly deleted: boolean })[] }
  /** The watch of our prefix cannot go on: compacted, set back, refused. */
  | { readonly type: "watch-over"; readonly sentence: string }
  /** The time asked for by `wake` has come. */
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
  /** Follow our prefix from this revision on; replaces an older watch. */
  | { readonly type: "watch"; readonly from: bigint }
  /** Come back in `ms` with `tick`; replaces an older wake. */
  | { readonly type: "wake"; readonly ms: number };

/** Without the times, which the shell adds. */
export type NewPublisherEvent<E = PublisherEvent> = E extends PublisherEvent ? Omit<E, "now" | "wallMicros"> : never;

export type EventOf<T extends PublisherEvent["type"]> = Extract<PublisherEvent, { type: T }>;
