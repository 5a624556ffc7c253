/**
 * What one side says of its kinds, read by another that may be a version older or newer (ADR 20).
 *
 * Of a kind that is not named as exported nothing follows: it is no difference, and what is absent of it is not gone. A kind
 * that only the other side knows is nobody's concern here.
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
