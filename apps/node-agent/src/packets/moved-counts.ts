/**
 * Tells programs how many of the connects that they moved for a pod have no rows in mesh_nat any more (`moves_ended` of its row in
 * mesh_endpoints): they move no more than so many at a time, so that one pod cannot take the room of all others.
 *
 * Programs count what they insert. What is left of it is counted anew each time, so no mistake lasts: a connect that is moved
 * between the two readings counts twice until the next time, and none counts less than once.
 */
import { EndpointRow } from "@isthmus/bpf";
import type { ArrayPort } from "@isthmus/reconcile";

export interface MovedCountsModules {
  /** mesh_endpoints. */
  readonly endpoints: Pick<ArrayPort, "read" | "storeWord32">;
  /** The rows of this node's pods there, by address (`bytesKey`). */
  readonly rows: ReadonlyMap<string, number>;
}

/** Takes the number of connects that have rows, by the address of their pod. */
export type StoreCounts = (living: ReadonlyMap<string, number>) => void;

/** Reads what programs counted until now: to be called before mesh_nat is read, and the result with what was found there. */
export function beginMovedCounts({ endpoints, rows }: MovedCountsModules): StoreCounts {
  const read = (index: number) => EndpointRow.decode(endpoints.read(index));
  const before = [...rows].map(([address, index]) => ({ address, index, moved: read(index).moved }));
  return (living) => {
    for (const { address, index, moved } of before) {
      const now = read(index);
      // Of another pod by now, or written anew: it begins at 0.
      if (rows.get(address) !== index || (now.moved - moved) >>> 0 >= 2 ** 31) continue;
      const ended = (moved - (living.get(address) ?? 0)) >>> 0;
      if (ended !== now.movesEnded) endpoints.storeWord32(index, EndpointRow.offsets.movesEnded, ended);
    }
  };
}
