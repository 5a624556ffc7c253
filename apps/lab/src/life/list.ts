/** The labs of this machine, whoever made them: each has a folder from its first moment to its last. */
import { existsSync } from "node:fs";
import { labPaths } from "../plan/paths.js";
import { createLabClient } from "../supervise/client.js";
import { labNames, readRecord } from "./claim.js";

export interface LabRow {
  readonly name: string;
  /** "Remains": nobody looks after it; `down` removes what is there. */
  readonly status: "Running" | "Remains";
  readonly clusters: readonly string[];
  /** Nodes of all clusters. */
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
