/**
 * Decides what a reader keeps of a peer's record: a copy if it may be accepted, only key and hash if it is refused for
 * good.
 *
 * The hash counts in the sums in both cases, so refused records cost a reader the memory of their keys, not of their
 * values.
 */
import { createHash } from "node:crypto";
import { Kind, RefusalReason } from "@isthmus/proto";
import { BOUNDS } from "./bounds.js";
import { recordHash } from "./hash.js";
import { kindOfKey, kindSegment } from "./kinds.js";
import { refusalUndecoded } from "./record-bounds.js";
import type { HashedRecord, Verdict } from "./types.js";

/** Refusals that end when limits, address owners or the peer's epoch change, so the value is kept. All other refusals are for good. */
const RECOVERABLE: ReadonlySet<RefusalReason> = new Set([
  RefusalReason.REFUSAL_REASON_IDENTITY_CHANGED,
  RefusalReason.REFUSAL_REASON_ADDRESS_OUTSIDE_CIDR,
  RefusalReason.REFUSAL_REASON_ADDRESS_OF_ANOTHER_CLUSTER,
]);

/** Returns the record, without its value if it is refused for good. */
export function retainedRecord(record: HashedRecord, verdict: Verdict): HashedRecord {
  if (verdict.ok || RECOVERABLE.has(verdict.reason) || record.refused !== undefined) return record;
  const { kind, key, hash } = record;
  const { reason, detail } = verdict;
  return { kind, key, hash, value: NO_VALUE, refused: { reason, detail } };
}

const NO_VALUE = new Uint8Array(0);

/**
 * Makes a record from a peer's entry, whose bytes belong to the received message. Values that may be accepted are
 * copied; of values that must not be decoded only the hash is kept. A key that is too long is replaced by its own hash,
 * which cannot clash with another record because parseKey accepts no such key.
 */
export function peerRecord(kind: Kind, key: string, value: Uint8Array): HashedRecord {
  const refused = refusalUndecoded({ key, value });
  const hash = recordHash(key, value);
  if (refused === undefined) return { kind, key, value: copyOf(value), hash };
  return { kind, key: peerKey(key), value: NO_VALUE, hash: copyOf(hash), refused };
}

/** The key under which a peer's record is kept: its own key, or a hash of a key that is too long. */
export function peerKey(key: string): string {
  if (key.length <= BOUNDS.key) return key;
  const segment = kindSegment(kindOfKey(key) ?? Kind.KIND_UNSPECIFIED);
  return `${segment}/#${createHash("sha256").update(key, "latin1").digest("hex")}`;
}

/** Copies the bytes, because a view of a few bytes would keep the whole message (megabytes) in memory. */
function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}
