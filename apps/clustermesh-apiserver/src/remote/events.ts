/** What enters and leaves the reader's core. Keys are relative to the peer's prefix; times enter with the events. */
import type { ClusterClaim } from "@isthmus/proto";
import type { HashedRecord, SourceChange } from "@isthmus/records";

/** A key beside the records: head, store, config, fence. */
export interface Meta {
  readonly key: string;
  readonly value: Uint8Array;
  readonly modRevision: bigint;
}

/** One key's change in the watch. */
export interface WatchedChange {
  readonly key: string;
  readonly modRevision: bigint;
  readonly deleted: boolean;
  readonly value: Uint8Array;
  /** Present for records that were put. */
  readonly record?: HashedRecord;
}

export type ReaderEvent = { readonly now: number; readonly wallMicros: number } & (
  | { readonly type: "start" }
  /** Answer to `list`: everything under the prefix at one revision. */
  | {
      readonly type: "listed";
      readonly records: readonly HashedRecord[];
      readonly metas: readonly Meta[];
      readonly claim: ClusterClaim | undefined;
      readonly revision: bigint;
      /** The store does not check who writes: nothing in it proves anything. */
      readonly unchecked?: boolean;
    }
  /** Answer to `list`: the peer is over its budget. */
  | { readonly type: "over-budget"; readonly sentence: string }
  /** `list` got no answer (unreachable, compacted on the way, denied). */
  | { readonly type: "list-failed"; readonly sentence: string }
  /** The watch's stream is open, the `open`-th. */
  | { readonly type: "opened"; readonly open: number }
  | { readonly type: "lost"; readonly sentence: string }
  /** Answer to `check-store` for that opening; `storeId` undefined: the store has none. */
  | {
      readonly type: "store-checked";
      readonly open: number;
      readonly storeId: Uint8Array | undefined;
      readonly revision: bigint;
      readonly unchecked?: boolean;
    }
  | { readonly type: "check-failed"; readonly open: number; readonly sentence: string }
  /** Complete revisions. */
  | { readonly type: "seen"; readonly events: readonly WatchedChange[]; readonly revision: bigint }
  /** The watch cannot go on: compacted, set back, refused. */
  | { readonly type: "watch-over"; readonly sentence: string }
  /** Answer to `probe`: the head's revision by quorum. */
  | { readonly type: "probed"; readonly headRevision: bigint }
  /** Limits changed: judge every record again. `keys`: addresses changed hands that these records claim. */
  | { readonly type: "judge-again"; readonly keys?: ReadonlySet<string> }
  /** The operator's word on the peer as such: its uid ("" = any), and why it may not be followed. */
  | { readonly type: "permitted"; readonly uid: string; readonly refusal: string | undefined }
  /** The operator removed the peer. */
  | { readonly type: "removed" }
  | { readonly type: "tick" }
);

/** Without the times, which the shell adds. */
export type NewReaderEvent<E = ReaderEvent> = E extends ReaderEvent ? Omit<E, "now" | "wallMicros"> : never;

export type EventOf<T extends ReaderEvent["type"]> = Extract<ReaderEvent, { type: T }>;

export type ReaderEffect =
  | { readonly type: "list" }
  | { readonly type: "watch"; readonly from: bigint }
  | { readonly type: "unwatch" }
  | { readonly type: "check-store"; readonly open: number }
  | { readonly type: "probe" }
  | { readonly type: "emit"; readonly change: SourceChange }
  /** Come back in `ms` with `tick`; replaces an older wake. */
  | { readonly type: "wake"; readonly ms: number };
