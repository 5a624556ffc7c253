/**
 * How many records and bytes a reader accepts from one peer: all keys in the store under the peer's prefix count.
 *
 * The defaults suffice for a cluster at Kubernetes' own limits (150,000 pods, 5,000 nodes, 10,000 Services: 175,000 records, 40 MiB).
 * A peer over its budget is not read any further. Its accepted records stay; other peers are not affected.
 */
export interface Budget {
  /** In a listing every key under the prefix counts as one, also those of no known kind. */
  readonly records: number;
  /** Of keys and values. */
  readonly bytes: number;
}

export const DEFAULT_BUDGET: Budget = { records: 250_000, bytes: 64 << 20 };

/** The options of clustermesh-apiserver that set the budget. */
export const BUDGET_FLAGS = { records: "--peer-max-records", bytes: "--peer-max-bytes" } as const;

/** A sentence about the first part of the budget that is exceeded, or undefined. `where` describes what was counted. */
export function overBudget(
  used: Budget,
  most: Budget,
  cluster: string,
  where = "or more in the store",
): string | undefined {
  for (const part of ["records", "bytes"] as const) {
    if (used[part] <= most[part]) continue;
    const { [part]: flag } = BUDGET_FLAGS;
    return `over budget: cluster "${cluster}" has ${used[part]} ${part} ${where}, at most ${most[part]} are accepted; export less there, or raise ${flag}`;
  }
  return undefined;
}

/** Maximum number of a peer's nodes: a tenth of its records. Nodes claim addresses, and a claim costs more than its bytes. */
export function nodesOf({ records }: Budget): number {
  return Math.floor(records / 10);
}

/** A sentence for a peer that has `nodes` nodes, more than `nodesOf(budget)`. */
export function tooManyNodes(nodes: number, budget: Budget, cluster: string): string {
  const most = `at most ${nodesOf(budget)} are accepted, a tenth of its records`;
  return `over budget: cluster "${cluster}" has ${nodes} nodes, ${most}; export less there, or raise ${BUDGET_FLAGS.records}`;
}
