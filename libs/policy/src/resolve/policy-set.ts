/**
 * A policy set: what holds for a pod, by the identity of the other end, merged from all policies that select the pod.
 *
 * A set belongs to everything that it was made of: the same policies and, where rules name ports, the same ports. Pods with the
 * same have one set. What a set says of an identity does not change while that identity exists: its rows are only added for
 * identities that are new and removed for those that are gone, so programs may read them meanwhile. Anything else makes another
 * set.
 */
import type { IdentityNumber } from "@isthmus/identity";
import { allowsLess } from "./allows-less.js";
import { mixBits, mixText } from "./rule-name.js";
import { allPorts, type PeerVerdict } from "./verdict.js";

/** What a set says of one identity, or of all that have no row. */
export interface PeerRow {
  /** Of what the identity sends to the pod. */
  readonly in: PeerVerdict;
  /** Of what the pod sends to the identity. */
  readonly out: PeerVerdict;
  /** What the row says: equal exactly for equal rows. */
  readonly key: string;
}

export interface PolicySet {
  /** Of identities without a row. */
  readonly others: PeerRow;
  /** Rows that differ from `others`. Live: it follows identities that come and go. */
  readonly rows: ReadonlyMap<IdentityNumber, PeerRow>;
  /** 64 bits over all that it says now, made when asked: equal for equal sets, and nearly always different for others. */
  readonly digest: string;
}

export interface MutablePolicySet extends PolicySet {
  /** Adds or replaces a row; undefined removes it. */
  setRow(identity: IdentityNumber, row: PeerRow | undefined): void;
  /** Another set with the same rows. */
  copy(): MutablePolicySet;
}

/** The row of two verdicts, with its key. */
export function createPeerRow(ingress: PeerVerdict, egress: PeerVerdict): PeerRow {
  return { in: ingress, out: egress, key: `${ingress.key} | ${egress.key}` };
}

/** `from`: rows to begin with, which are copied. */
export function createPolicySet(
  others: PeerRow,
  from: ReadonlyMap<IdentityNumber, PeerRow> = new Map(),
): MutablePolicySet {
  const rows = new Map(from);
  return {
    others,
    rows,
    get digest() {
      return digestOf(others, rows);
    },
    setRow(identity, row) {
      if (row === undefined) rows.delete(identity);
      else rows.set(identity, row);
    },
    copy: () => createPolicySet(others, rows),
  };
}

/** Sums over the rows, since they are in any order. */
function digestOf(others: PeerRow, rows: ReadonlyMap<IdentityNumber, PeerRow>): string {
  const hashes = new Map<PeerRow, readonly [number, number]>();
  let [high, low] = [mixText(others.key), mixText(others.key, 1)];
  for (const [identity, row] of rows) {
    const [a, b] = hashes.get(row) ?? [mixText(row.key), mixText(row.key, 1)];
    hashes.set(row, [a, b]);
    high += mixBits(Math.imul(identity, 0x9e3779b1) ^ a);
    low += mixBits(Math.imul(identity, 0x85ebca77) ^ b);
  }
  return [high, low].map((part) => (part >>> 0).toString(16).padStart(8, "0")).join("");
}

const ALLOW_ALL = allPorts({ allow: true, rule: 0 });

/** The set of a pod that no policy selects. */
export const OPEN_ROW: PeerRow = createPeerRow(ALLOW_ALL, ALLOW_ALL);

/** True when the set allows everything, so that nothing needs to be looked up for the pod. */
export function isOpen({ others, rows }: PolicySet): boolean {
  return rows.size === 0 && others.key === OPEN_ROW.key;
}

/** True when a set allows something to or from an identity in `isKnown` that the other one does not. */
export function setAllowsLess(
  before: PolicySet,
  after: PolicySet,
  isKnown: (identity: IdentityNumber) => boolean,
): boolean {
  const known = new Map<PeerRow, Map<PeerRow, boolean>>();
  const rowLess = (old: PeerRow, now: PeerRow): boolean => {
    const pairs = known.get(old) ?? new Map<PeerRow, boolean>();
    known.set(old, pairs);
    const less = pairs.get(now) ?? (allowsLess(old.in, now.in) || allowsLess(old.out, now.out));
    pairs.set(now, less);
    return less;
  };
  if (rowLess(before.others, after.others)) return true;
  for (const [identity, row] of before.rows)
    if (isKnown(identity) && rowLess(row, after.rows.get(identity) ?? after.others)) return true;
  for (const [identity, row] of after.rows)
    if (!before.rows.has(identity) && isKnown(identity) && rowLess(before.others, row)) return true;
  return false;
}
