/**
 * The cursor of a cluster's local numbers: the highest one that was ever reserved (pure).
 *
 * It only grows, and is written where all instances read it before a number above it is used; so no number is given twice, not
 * even when its object is gone.
 */
import type { ClusterId } from "@isthmus/model";
import { MeshError } from "@isthmus/model";
import { MAX_LOCAL, MIN_LOCAL } from "./number.js";

/** Local numbers that are reserved, both ends included. */
export interface ReservedNumbers {
  /** Beyond every number that was given. */
  readonly first: number;
  /** The cursor to write. */
  readonly last: number;
}

/**
 * The next `count` numbers, or as many as are left. `cursor`: as written; `highest`: of the objects that exist, whose cursor may
 * be lost. Both 0: none yet. Throws `IDENTITIES_EXHAUSTED` when none is left.
 */
export function reserveNumbers(
  cluster: ClusterId,
  { cursor, highest, count }: { readonly cursor: number; readonly highest: number; readonly count: number },
): ReservedNumbers {
  const first = Math.max(cursor, highest, MIN_LOCAL - 1) + 1;
  if (first > MAX_LOCAL)
    throw new MeshError(
      { code: "IDENTITIES_EXHAUSTED", cluster },
      `Cannot give an identity to new pod labels: all ${MAX_LOCAL - MIN_LOCAL + 1} numbers of cluster ${cluster} were given; pods whose labels are in use already go on as before`,
    );
  return { first, last: Math.min(first + count - 1, MAX_LOCAL) };
}
