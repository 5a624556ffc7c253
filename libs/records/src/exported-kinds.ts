/**
 * Compares the sums in a head or a Mark with those of local records; the sender may run an older or newer version (ADR
 * 20).
 *
 * A kind that the sender does not mark as exported is not compared, and missing records of it are not deletions. Kinds
 * that only the sender knows are ignored.
 */
import type { Kind, KindSum } from "@isthmus/proto";
import { sameBytes } from "./hash.js";

/** The kinds of which absence means deletion. */
export function exportedKinds(named: readonly KindSum[]): ReadonlySet<Kind> {
  return new Set(named.filter(({ exported }) => exported).map(({ kind }) => kind));
}

/** Kinds of `held` that `named` marks as exported with another count or sum, in the order of `held`. */
export function differingKinds(named: readonly KindSum[], held: readonly KindSum[]): Kind[] {
  const exported = named.filter((sum) => sum.exported);
  return held
    .filter((local) => exported.some((remote) => remote.kind === local.kind && !isSame(remote, local)))
    .map(({ kind }) => kind);
}

/** The sums of empty kinds are not compared. */
function isSame(a: KindSum, b: KindSum): boolean {
  return a.count === b.count && (a.count === 0 || sameBytes(a.sum, b.sum));
}
