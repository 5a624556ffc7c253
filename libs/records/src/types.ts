/**
 * The record core: what every hop (publisher, reader, stream server, agent) agrees on.
 *
 * A record is `{kind, key, value}`; the key is relative to its source's prefix (`slices/shop/cart/cart-x7k2p`), the value
 * is bytes that are never encoded again. A source is one cluster as seen through one path.
 */
import type { ClusterId, ClusterName, Prefix } from "@isthmus/model";
import type { Kind, KindSum, Position } from "@isthmus/proto";

/** One record with its hash, computed once (2 microseconds). */
export interface HashedRecord {
  readonly kind: Kind;
  readonly key: string;
  readonly value: Uint8Array;
  /** First 16 bytes of SHA-256(u32be length of key, key, value), big-endian. */
  readonly hash: Uint8Array;
  /** Why the record is refused for good. Then `value` is empty: its hash still counts, its bytes are not kept. */
  readonly refused?: Refusal;
}

export interface Refusal {
  readonly reason: RefusalReason;
  /** What is wrong with it: the end of a sentence. */
  readonly what: string;
}

/** Count and sum (mod 2^128, big-endian, 16 bytes) per kind: what makes loss visible. */
export interface KindDigest {
  readonly count: number;
  readonly sum: Buffer;
}

/** Where a reader is in a source. `total` order only within one store id. */
export type SourcePosition = Position;

/** One observable step of a source: everything of one or more complete revisions. */
export interface SourceChange {
  readonly upserts: readonly HashedRecord[];
  readonly deletes: readonly { readonly kind: Kind; readonly key: string }[];
  readonly position: Position;
  /** Wall clock, microseconds: when the apiserver of origin saw the newest content; 0 = unknown. */
  readonly observedMicros: number;
}

/** What the operator of this cluster lets a peer claim (MeshPeer), and what no peer may. */
export interface PeerLimits {
  readonly cluster: ClusterName;
  readonly id: ClusterId;
  readonly podCidrs: readonly Prefix[];
  /** Pod and service CIDRs of the local cluster and of every other peer: never this one's. */
  readonly foreign: readonly Prefix[];
}

/** A record that does not fit where it came from: dropped, counted by reason, still in the digest. */
export type RefusalReason =
  | "malformed-key"
  | "malformed-value"
  | "key-mismatch"
  | "foreign-identity"
  | "address-outside-cidr"
  | "address-forbidden"
  | "address-of-another-member"
  | "too-large"
  | "out-of-bounds";

export type Verdict = { readonly ok: true } | ({ readonly ok: false } & Refusal);

export type SumsOf = readonly KindSum[];
