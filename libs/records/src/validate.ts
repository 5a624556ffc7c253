/**
 * Checks that a record claims only what the operator of this cluster allows its peer to claim. Pure.
 *
 * What a kind may claim stands with the kind (kinds/). A refused record is dropped as a whole and counted by reason, but
 * still counts in the reader's digest.
 */
import { printable } from "@isthmus/model";
import { RefusalReason } from "@isthmus/proto";
import { BOUNDS } from "./bounds.js";
import { parseKey } from "./keys.js";
import { recordKind } from "./kinds.js";
import { refusalUndecoded, UNREADABLE } from "./record-bounds.js";
import type { HashedRecord, PeerLimits, Verdict } from "./types.js";

/** A longer value is refused. */
export const MAX_VALUE_BYTES = BOUNDS.value;

const OK: Verdict = { ok: true };

/** Not ok with the first reason that applies. Never throws. */
export function validateRecord(record: HashedRecord, limits: PeerLimits): Verdict {
  const refuse = (reason: RefusalReason, what: string): Verdict => ({ ok: false, reason, detail: what });
  const refusal = record.refused ?? refusalUndecoded(record);
  if (refusal !== undefined) return refuse(refusal.reason, refusal.detail);
  const key = parseKey(record.key);
  if (key === undefined || key.kind !== record.kind)
    return refuse(RefusalReason.REFUSAL_REASON_MALFORMED_KEY, "its key cannot be read");
  try {
    const finding = recordKind(key.kind)?.judge(key, record.value, limits);
    return finding === undefined ? OK : refuse(...finding);
  } catch {
    return refuse(RefusalReason.REFUSAL_REASON_MALFORMED_VALUE, UNREADABLE);
  }
}

/** `what`: the `detail` of the refusal. The key, which is the peer's, is made printable. */
export function refusalSentence(key: string, cluster: string, what: string): string {
  return `Cannot use record "${printable(key)}" of cluster "${cluster}": ${what}`;
}

/** The addresses that a record claims for its cluster; only one cluster may own each. */
export function claimedAddresses({ kind, value }: HashedRecord): readonly Uint8Array[] {
  return recordKind(kind)?.addresses(value) ?? [];
}
