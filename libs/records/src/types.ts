/**
 * The record types that publisher, reader, stream server and agent share.
 *
 * A record is `{kind, key, value}`. The key is relative to its source's prefix (`slices/shop/cart/cart-x7k2p`); the
 * value's bytes are never re-encoded. A source is one cluster as a reader sees it.
 */
import type { ClusterId, ClusterName, Prefix } from "@isthmus/model";
import type { Kind, KindSum, Position, RefusalReason } from "@isthmus/proto";

/** One record with its hash, computed once (2 microseconds). */
export interface HashedRecord {
  /** Also when the key does not fit it: then the record is refused. */
  readonly kind: Kind;
  /** Relative to the prefix of its source: `services/shop/cart`. */
  readonly key: string;
  /** As received or as encoded here; never encoded again. */
  readonly value: Uint8Array;
  /** First 16 bytes of SHA-256(u32be length of key, key, value), big-endian. */
  readonly hash: Uint8Array;
  /** Why the record is refused for good. Its hash then still counts in the sums, but `value` is empty. */
  readonly refused?: Refusal;
}

/** A refused record is dropped and counted by reason, but still counts in the digest. */
export interface Refusal {
  /** By which refusals are counted; docs/reference/drop-reasons.md. */
  readonly reason: RefusalReason;
  /** What is wrong with the record, as the end of a sentence. */
  readonly detail: string;
}

/** Count and sum (mod 2^128, big-endian, 16 bytes) of one kind's records; a lost record changes them. */
export interface KindDigest {
  /** Records of the kind, refused ones included. */
  readonly count: number;
  /** Of the hashes of those records. */
  readonly sum: Buffer;
}

/** Where a reader is in a source. Only positions with the same store id are ordered. */
export type SourcePosition = Position;

/** One observable step of a source: all changes of one or more complete revisions. */
export interface SourceChange {
  /** New and changed records, in any order; one that is equal to what is there changes nothing. */
  readonly upserts: readonly HashedRecord[];
  /** Names of records that are gone, in any order. */
  readonly deletes: readonly { readonly kind: Kind; readonly key: string }[];
  /** Where the source is after the change. */
  readonly position: Position;
  /** Wall clock in microseconds at which the source cluster's apiserver saw the newest content; 0 = unknown. */
  readonly observedMicros: number;
}

/** What the operator of this cluster allows a peer to claim (MeshPeer), and what the peer may not claim. */
export interface PeerLimits {
  /** The peer's name, for sentences. */
  readonly cluster: ClusterName;
  /** The only cluster of which it may export identities. */
  readonly id: ClusterId;
  /** From the MeshPeer: all addresses of its pods must be in them. */
  readonly podCidrs: readonly Prefix[];
  /** Pod and service CIDRs of the local cluster and of all other peers, which this peer may not claim. */
  readonly excludedCidrs: readonly Prefix[];
}

export type Verdict = { readonly ok: true } | ({ readonly ok: false } & Refusal);

export type SumsOf = readonly KindSum[];
