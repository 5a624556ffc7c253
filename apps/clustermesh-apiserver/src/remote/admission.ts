/**
 * Decides which records of one peer are accepted, by the peer's limits and the owners of addresses. Counts refusals by reason.
 *
 * Every received record, accepted or refused, is kept here until `forget`, so that it can be judged again when the limits or
 * the owners of its addresses change. An invalid record claims nothing. A valid one claims all of its addresses, even while
 * another cluster owns one of them.
 *
 * An identity's labels never change in one epoch of its cluster: agents enforce policies by its number. A record that changes them
 * is refused, and the one before stays accepted.
 */
import { formatAddress } from "@isthmus/model";
import { Kind, RefusalReason, type RefusedCount } from "@isthmus/proto";
import {
  claimedAddresses,
  type HashedRecord,
  type PeerLimits,
  type Refusal,
  refusalReasons,
  refusalSentence,
  sameBytes,
  type Verdict,
  validateRecord,
} from "@isthmus/records";
import type { AddressClaims } from "./address-claims.js";

/** "kept": refused, while the record of this key that was accepted before stays in force. */
export type Judgement = "accepted" | "refused" | "kept";

export interface Admission {
  /** Judges a record; the verdict is valid until `judge` or `forget` of its key. */
  judge(record: HashedRecord): Verdict & { readonly judgement: Judgement };
  /** The record is gone: releases its addresses and its refusal. */
  forget(key: string): void;
  /** By the last `judge` of the key; false for a key that was not judged or is forgotten. */
  isAccepted(key: string): boolean;
  /** The epoch in the peer's head. Returns the keys that must be judged again, because identities may be others in another epoch. */
  setEpoch(epoch: string): readonly string[];
  /** Applies to later judgements only; throws an Error for limits with another id. */
  setLimits(limits: PeerLimits): void;
  /** Current refusals by reason, each with one example sentence. */
  refused(): RefusedCount[];
}

/** Without records; `claims` are those of all peers. */
export function createAdmission(initial: PeerLimits, claims: AddressClaims): Admission {
  let limits = initial;
  const taken = new Set<string>();
  /** Sentences are not stored: there may be as many refusals as records. */
  const refusals = new Map<string, Refusal>();
  /** Of accepted IDENTITY records: their hashes, and the epochs in which they were accepted. */
  const identities = new Map<string, { readonly hash: Uint8Array; readonly epoch: string }>();
  let epoch = "";

  function isChangedIdentity({ kind, key, hash }: HashedRecord): boolean {
    if (kind !== Kind.KIND_IDENTITY) return false;
    const known = identities.get(key);
    if (known !== undefined && known.epoch === epoch && !sameBytes(known.hash, hash)) return true;
    identities.set(key, { hash, epoch });
    return false;
  }

  const conflict = (addresses: readonly Uint8Array[]): Verdict => {
    const lost = addresses.find((address) => claims.owner(address) !== limits.id);
    if (lost === undefined) return { ok: true };
    const what = `address ${formatAddress(lost)} belongs to another cluster`;
    return { ok: false, reason: RefusalReason.REFUSAL_REASON_ADDRESS_OF_ANOTHER_CLUSTER, detail: what };
  };
  return {
    judge(record) {
      const { key } = record;
      const valid = validateRecord(record, limits);
      const addresses = valid.ok ? claimedAddresses(record) : [];
      claims.set(limits.id, key, addresses);
      const verdict = valid.ok ? conflict(addresses) : valid;
      if (verdict.ok && isChangedIdentity(record)) {
        refusals.set(key, { reason: CHANGED.reason, detail: CHANGED.detail });
        return { ...CHANGED, judgement: "kept" };
      }
      if (verdict.ok) {
        taken.add(key);
        refusals.delete(key);
      } else {
        taken.delete(key);
        identities.delete(key);
        refusals.set(key, { reason: verdict.reason, detail: verdict.detail });
      }
      return { ...verdict, judgement: verdict.ok ? "accepted" : "refused" };
    },
    forget(key) {
      claims.set(limits.id, key, []);
      taken.delete(key);
      identities.delete(key);
      refusals.delete(key);
    },
    isAccepted: (key) => taken.has(key),
    setEpoch(next) {
      if (next === epoch) return [];
      epoch = next;
      return [...refusals].flatMap(([key, { reason }]) => (reason === CHANGED.reason ? [key] : []));
    },
    setLimits(next) {
      if (next.id !== limits.id) throw new Error("A peer keeps its id for as long as it is followed");
      limits = next;
    },
    refused() {
      const counts = new Map<RefusalReason, RefusedCount>();
      for (const [key, { reason: refusalReason, detail }] of refusals) {
        const example = refusalSentence(key, limits.cluster, detail);
        const reason = refusalReasons.name(refusalReason);
        const count = counts.get(refusalReason) ?? { reason, count: 0, example, refusalReason };
        count.count++;
        counts.set(refusalReason, count);
      }
      return [...counts.values()].sort((a, b) => (a.reason < b.reason ? -1 : 1));
    },
  };
}

const CHANGED = {
  ok: false,
  reason: RefusalReason.REFUSAL_REASON_IDENTITY_CHANGED,
  detail: "its number stood for other labels in the same epoch, which stay in force",
} as const;
