/**
 * Compares the kinds of a head or a Mark with the records here; the sender may be a version older or newer (ADR 20).
 *
 * A kind that is not named as exported is not compared, and absence of its records does not mean deletion. Kinds that only the
 * sender knows are ignored.
 */
import type { Kind, KindSum } from "@isthmus/proto";
import { sameBytes } from "./hash.js";

export function exportedKinds(named: readonly KindSum[]): ReadonlySet<Kind> {
  return new Set(named.filter(({ exported }) => exported).map(({ kind }) => kind));
}

/** Kinds of `held` that are named as exported, with another count or sum; in the order of `held`. */
export function differingKinds(named: readonly KindSum[], held: readonly KindSum[]): Kind[] {
  const exported = named.filter((sum) => sum.exported);
  return held
    .filter((mine) => exported.some((theirs) => theirs.kind === mine.kind && !isSame(theirs, mine)))
    .map(({ kind }) => kind);
}

/** An empty kind has no sum worth comparing. */
function isSame(a: KindSum, b: KindSum): boolean {
  return a.count === b.count && (a.count === 0 || sameBytes(a.sum, b.sum));
}
