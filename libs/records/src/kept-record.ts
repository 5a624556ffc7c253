/**
 * What a reader keeps of a peer's records: a copy of one that may be accepted, key and hash of one that is refused for good.
 *
 * The hash counts in the sums either way, so records that readers refuse cost them keys, not values.
 */
import { createHash } from "node:crypto";
import { Kind } from "@isthmus/proto";
import { BOUNDS } from "./bounds.js";
import { recordHash } from "./hash.js";
import { kindOfKey, kindSegment } from "./kinds.js";
import { refusalUndecoded } from "./record-bounds.js";
import type { HashedRecord, RefusalReason, Verdict } from "./types.js";

/** Reasons that a change of limits or owners can remove, for which the record is kept. All other refusals are for good. */
const MAY_END: ReadonlySet<RefusalReason> = new Set(["address-outside-cidr", "address-of-another-member"]);

/** The record without its value when it is refused for good. */
export function keptOf(record: HashedRecord, verdict: Verdict): HashedRecord {
  if (verdict.ok || MAY_END.has(verdict.reason) || record.refused !== undefined) return record;
  const { kind, key, hash } = record;
  const { reason, what } = verdict;
  return { kind, key, hash, value: NO_VALUE, refused: { reason, what } };
}

const NO_VALUE = new Uint8Array(0);

/**
 * A record of a peer's entry, whose bytes are the caller's message: what may be taken is copied out of it, and of what
 * must not be decoded only the hash stays. A key that is too long is named by its own hash, under which nothing else can be: parseKey
 * knows no such key.
 */
export function peerRecord(kind: Kind, key: string, value: Uint8Array): HashedRecord {
  const refused = refusalUndecoded({ key, value });
  const hash = recordHash(key, value);
  if (refused === undefined) return { kind, key, value: ownCopy(value), hash };
  return { kind, key: peerKey(key), value: NO_VALUE, hash: ownCopy(hash), refused };
}

/** The name under which a peer's key is kept: itself, unless it is too long. */
export function peerKey(key: string): string {
  if (key.length <= BOUNDS.key) return key;
  const segment = kindSegment(kindOfKey(key) ?? Kind.KIND_UNSPECIFIED);
  return `${segment}/#${createHash("sha256").update(key, "latin1").digest("hex")}`;
}

/** Copies the bytes: a view of a few bytes would keep a message of megabytes in memory. */
function ownCopy(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}
