/**
 * How much of one peer a reader takes: records and bytes that stand in the store under its prefix, whatever they are.
 *
 * The defaults hold a cluster of Kubernetes' own limits (150,000 pods, 5,000 nodes, 10,000 Services: 175,000 records, 40 MiB).
 * A peer over its budget is not read any further. What was taken of it stays, the others go on.
 */
export interface Budget {
  readonly records: number;
  /** Of keys and values. */
  readonly bytes: number;
}

export const DEFAULT_BUDGET: Budget = { records: 250_000, bytes: 64 << 20 };

/** The options of clustermesh-apiserver that set it. */
export const BUDGET_FLAGS = { records: "--peer-max-records", bytes: "--peer-max-bytes" } as const;

/** The first part of the budget that is used up; undefined: none is. `where` it is: what was counted. */
export function overBudget(
  used: Budget,
  most: Budget,
  cluster: string,
  where = "or more in the store",
): string | undefined {
  for (const part of ["records", "bytes"] as const) {
    if (used[part] <= most[part]) continue;
    const { [part]: flag } = BUDGET_FLAGS;
    return `over budget: cluster "${cluster}" has ${used[part]} ${part} ${where}, ${most[part]} are taken; let it export less, or raise ${flag}`;
  }
  return undefined;
}

/** Nodes claim addresses, each of which costs a reader more than its bytes: a tenth of the records may be nodes. */
export function nodesOf({ records }: Budget): number {
  return Math.floor(records / 10);
}

export function tooManyNodes(nodes: number, budget: Budget, cluster: string): string {
  const most = `${nodesOf(budget)} are taken, a tenth of its records`;
  return `over budget: cluster "${cluster}" has ${nodes} nodes, ${most}; let it export less, or raise ${BUDGET_FLAGS.records}`;
}
