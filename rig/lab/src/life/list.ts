/** Lists all labs of this machine: each has a folder as long as it exists. */
import { existsSync } from "node:fs";
import { labPaths } from "../plan/paths.js";
import { createLabClient } from "../supervise/client.js";
import { labNames, readRecord } from "./claim.js";

export interface LabRow {
  readonly name: string;
  /** "Remains": it has no supervisor; `down` removes what is left. */
  readonly status: "Running" | "Remains";
  readonly clusters: readonly string[];
  /** Number of nodes of all clusters. */
  readonly nodes: number;
}

/** Sorted by name. */
export async function listLabs(): Promise<LabRow[]> {
  return await Promise.all((await labNames()).sort().map(describe));
}

async function describe(name: string): Promise<LabRow> {
  const paths = labPaths(name);
  const plan = (await readRecord(paths))?.plan;
  const answers =
    existsSync(paths.socket) &&
    (await createLabClient(name, paths.socket)
      .rows()
      .catch(() => undefined));
  return {
    name,
    status: answers ? "Running" : "Remains",
    clusters: plan?.clusters.map((cluster) => cluster.name) ?? [],
    nodes: plan?.clusters.reduce((sum, { nodes }) => sum + nodes.length, 0) ?? 0,
  };
}
