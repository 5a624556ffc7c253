/**
 * What is known of one kind of record: a kind is one file in this folder, and its place in the list (index.ts).
 *
 * The compiler asks an exported kind for its bounds and for what a peer may claim with it: without them every reader
 * would refuse its records.
 */
import { type Kind, RefusalReason } from "@isthmus/proto";
import type { OutOfBounds } from "../bounds.js";
import { hashRecord } from "../hash.js";
import type { HashedRecord, PeerLimits } from "../types.js";

/** In place of a namespace in the keys of objects that have none; no namespace has this name. */
export const NO_NAMESPACE = "-";

/** Why a record is refused, with the `detail` of the refusal; undefined: it is not. */
export type Finding = readonly [RefusalReason, string] | undefined;

/** The generated codec of a message. */
interface Message<Value> {
  encode(value: Value): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Value;
}

/** The names in a key, with the kind. */
export interface KeyOf<K extends Kind> {
  /** The kind that the first segment of the key names. */
  readonly kind: K;
}

/** What every kind has. */
export interface KindNames<K extends Kind> {
  /** The number on the wire. */
  readonly kind: K;
  /** First segment of the keys in the store and on the stream, and value of the metric label `kind`. */
  readonly segment: string;
  /** What the key names after the segment. */
  readonly names: readonly string[];
  /** True: the second of its names is `NO_NAMESPACE` for an object of no namespace. Absent: false. */
  readonly mayLackNamespace?: boolean;
  /** What a record of it says, in one sentence without a full stop. */
  readonly meaning: string;
}

interface Described<K extends Kind, Key extends KeyOf<K>, Value> extends KindNames<K> {
  /**
   * Parses the names of a key, which follow `segment/`: as many as `names`, each the name of an object or an address.
   * Undefined, or an error: the key differs from the one text that its names have.
   */
  readonly parse: (names: string) => Key | undefined;
  readonly message: Message<Value>;
  /** Puts in order what has no order, and drops duplicates: replicas must write the same bytes. */
  readonly canonical: (value: Value) => Value;
}

/** A kind that is sent on the local cluster's stream only, and never in a store. */
export interface LocalKind<K extends Kind, Key extends KeyOf<K>, Value> extends Described<K, Key, Value> {
  /** A reader refuses records of it. */
  readonly exported: false;
}

/** A kind that other clusters read. */
export interface ExportedKind<K extends Kind, Key extends KeyOf<K>, Value> extends Described<K, Key, Value> {
  /** A reader takes records of it, if both checks find nothing. */
  readonly exported: true;
  /** Checks the size of each text, number and list against `BOUNDS`. */
  readonly bounds: (value: Value) => OutOfBounds;
  /** Checks that the operator of this cluster allows the peer to claim it. */
  readonly check: (key: Key, value: Value, limits: PeerLimits) => Finding;
  /** The addresses that only one cluster may claim; absent: none. */
  readonly addresses?: (value: Value) => readonly Uint8Array[];
}

/** A kind, with its values as bytes. */
export interface RecordKind<K extends Kind = Kind, Key extends KeyOf<K> = KeyOf<K>> extends KindNames<K> {
  /** False: sent on the local cluster's stream only, never in a store. */
  readonly exported: boolean;
  /** As described; throws too. */
  readonly parse: (names: string) => Key | undefined;
  /** The bound that an exporter or a peer has not kept. Throws for bytes that are no such message. */
  outOfBounds(value: Uint8Array): OutOfBounds;
  /** Why a reader refuses this to a peer. Throws for bytes that are no such message. */
  judge(key: Key, value: Uint8Array, limits: PeerLimits): Finding;
  /** The addresses that only one cluster may claim. Throws for bytes that are no such message. */
  addresses(value: Uint8Array): readonly Uint8Array[];
}

/** A kind that records are made of. */
export interface WritableKind<K extends Kind, Key extends KeyOf<K>, Value> extends RecordKind<K, Key> {
  /** Canonical bytes: the same for the same content in any order. */
  encode(value: Value): Uint8Array;
  /** A record with canonical bytes. */
  record(key: string, value: Value): HashedRecord;
}

/** Of a description. An exported kind without `bounds` or `check` does not compile. */
export function defineKind<K extends Kind, Key extends KeyOf<K>, Value>(
  described: LocalKind<K, Key, Value> | ExportedKind<K, Key, Value>,
): WritableKind<K, Key, Value> {
  const { message, canonical, kind, segment, names, meaning, exported, parse } = described;
  const encode = (value: Value): Uint8Array => message.encode(canonical(value)).finish();
  return {
    ...{ kind, segment, names, meaning, exported, parse, encode },
    mayLackNamespace: described.mayLackNamespace ?? false,
    record: (key, value) => hashRecord(kind, key, encode(value)),
    outOfBounds: (bytes) => (described.exported ? described.bounds(message.decode(bytes)) : undefined),
    judge(key, bytes, limits) {
      if (!described.exported) return NOT_EXPORTED;
      const value = message.decode(bytes);
      const beyond = described.bounds(value);
      return beyond === undefined ? described.check(key, value, limits) : [OUT_OF_BOUNDS, beyond];
    },
    addresses: (bytes) => (described.exported ? (described.addresses?.(message.decode(bytes)) ?? []) : []),
  };
}

const OUT_OF_BOUNDS = RefusalReason.REFUSAL_REASON_OUT_OF_BOUNDS;
const NOT_EXPORTED: Finding = [RefusalReason.REFUSAL_REASON_MALFORMED_KEY, "records of its kind are not exported"];
