/** What became of the connects to each Service that a backend refused or did not answer. */
import type { ServiceMoves } from "@isthmus/bpf";
import type { ServiceName } from "@isthmus/model";

/** A count with its labels. */
export interface MoveCount {
  readonly namespace: string;
  readonly service: string;
  /** Name of a `MoveReason`. */
  readonly reason: string;
  readonly count: number;
}

/**
 * The sums over all frontends of each Service. `serviceOf`: the Service that has a row with this generation; what is of none
 * is left out: it is gone, or its records are not there yet.
 */
export function countMoves(
  moves: Iterable<ServiceMoves>,
  serviceOf: (index: number, generation: number) => ServiceName | undefined,
): readonly MoveCount[] {
  const sums = new Map<string, MoveCount>();
  for (const { service: index, generation, counts } of moves) {
    const name = serviceOf(index, generation);
    if (name === undefined) continue;
    const slash = name.indexOf("/");
    const labels = { namespace: name.slice(0, slash), service: name.slice(slash + 1) };
    for (const [reason, count] of counts) {
      const key = `${name} ${reason}`;
      sums.set(key, { ...labels, reason, count: (sums.get(key)?.count ?? 0) + count });
    }
  }
  return [...sums.values()];
}
