/** Inputs and outputs of the reader's state machine. Keys are relative to the peer's prefix; events carry the time. */
import type { ClusterClaim } from "@isthmus/proto";
import type { HashedRecord, SourceChange } from "@isthmus/records";

/** A key that is not a record: head, store, config, fence. */
export interface Meta {
  /** Relative to the peer's prefix: `head`, `store`. */
  readonly key: string;
  /** As stored, not decoded; another cluster wrote it. */
  readonly value: Uint8Array;
  /** The revision that last wrote the key. */
  readonly modRevision: bigint;
}

/** One key's change in the watch. */
export interface WatchedChange {
  /** Relative to the peer's prefix; a record's key that is too long is replaced by its hash (`peerKey`). */
  readonly key: string;
  /** The revision of the change; changes of one revision come in one `seen`, next to each other. */
  readonly modRevision: bigint;
  /** True when the key was deleted: there is no record then. */
  readonly deleted: boolean;
  /** The bytes that were put; empty for a deletion, and for a record that must not be decoded. */
  readonly value: Uint8Array;
  /** Present for records that were put. */
  readonly record?: HashedRecord;
}

export type ReaderEvent = { readonly now: number; readonly wallMicros: number } & (
  | { readonly type: "start" }
  /** Result of `list`: all keys under the prefix at one revision. */
  | {
      readonly type: "listed";
      readonly records: readonly HashedRecord[];
      readonly metas: readonly Meta[];
      readonly claim: ClusterClaim | undefined;
      readonly revision: bigint;
      /** The store does not authenticate its writers: nothing in it can be trusted. */
      readonly unchecked?: boolean;
    }
  /** Result of `list`: the peer is over its budget. */
  | { readonly type: "over-budget"; readonly sentence: string }
  /** `list` failed (store unreachable, revision compacted meanwhile, access denied). */
  | { readonly type: "list-failed"; readonly sentence: string }
  /** The watch's stream was opened; `open` numbers the streams. */
  | { readonly type: "opened"; readonly open: number }
  | { readonly type: "lost"; readonly sentence: string }
  /** Result of `check-store` for that stream; `storeId` undefined: the store has none. */
  | {
      readonly type: "store-checked";
      readonly open: number;
      readonly storeId: Uint8Array | undefined;
      readonly revision: bigint;
      readonly unchecked?: boolean;
    }
  | { readonly type: "check-failed"; readonly open: number; readonly sentence: string }
  /** Events of the watch, in complete revisions. */
  | { readonly type: "seen"; readonly events: readonly WatchedChange[]; readonly revision: bigint }
  /** The watch ended: its revision was compacted, the store was restored, or access was refused. */
  | { readonly type: "watch-over"; readonly sentence: string }
  /** Result of `probe`: the head's revision, read by quorum. */
  | { readonly type: "probed"; readonly headRevision: bigint }
  /** Limits changed: judge every record again. `keys`: judge only these, because addresses that they claim changed their owner. */
  | { readonly type: "judge-again"; readonly keys?: ReadonlySet<string> }
  /** The operator's configuration of the peer: its uid ("" = any), and why it may not be followed. */
  | { readonly type: "permitted"; readonly uid: string; readonly refusal: string | undefined }
  /** The operator removed the peer. */
  | { readonly type: "removed" }
  | { readonly type: "tick" }
);

/** An event without its times, which `RemoteSource` adds. */
export type NewReaderEvent<E = ReaderEvent> = E extends ReaderEvent ? Omit<E, "now" | "wallMicros"> : never;

export type EventOf<T extends ReaderEvent["type"]> = Extract<ReaderEvent, { type: T }>;

export type ReaderEffect =
  | { readonly type: "list" }
  | { readonly type: "watch"; readonly from: bigint }
  | { readonly type: "unwatch" }
  | { readonly type: "check-store"; readonly open: number }
  | { readonly type: "probe" }
  | { readonly type: "emit"; readonly change: SourceChange }
  /** Send `tick` in `ms`; replaces an earlier wake. */
  | { readonly type: "wake"; readonly ms: number };
