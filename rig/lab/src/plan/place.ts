/** Checks the cluster and node that a command names: an unknown name is a usage error with the choices. Pure. */
import { labError } from "./errors.js";
import { allNodes, type LabPlan } from "./plan.js";

export interface Target {
  readonly cluster?: string;
  readonly node?: string;
}

/** Returns only the given fields. Throws `USAGE`. */
export function checkPlace(plan: LabPlan, { cluster, node }: Target): Target {
  const clusters = plan.clusters.map(({ name }) => name);
  if (cluster !== undefined) checkWord("cluster", cluster, clusters, plan);
  const nodes = allNodes(plan).filter((one) => cluster === undefined || one.cluster === cluster);
  if (node !== undefined)
    checkWord(
      "node",
      node,
      nodes.map(({ name }) => name),
      plan,
    );
  return { ...(cluster === undefined ? {} : { cluster }), ...(node === undefined ? {} : { node }) };
}

function checkWord(what: string, word: string, known: readonly string[], plan: LabPlan): void {
  if (known.includes(word)) return;
  throw labError("USAGE", `Unknown ${what} "${word}" in lab "${plan.name}": use one of ${known.join(", ")}`);
}
