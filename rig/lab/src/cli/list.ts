/** `lab list`: one line for each lab of this machine. */
import { table } from "@isthmus/model";
import { type LabRow, listLabs } from "../life/list.js";
import type { LabArguments } from "./arguments.js";
import type { LabIo } from "./io.js";

const HEADER = ["NAME", "STATUS", "CLUSTERS", "NODES"];

export async function runList(args: LabArguments, io: LabIo): Promise<number> {
  const labs = await listLabs();
  io.out(args.json ? `${JSON.stringify(labs, null, 2)}\n` : describeLabs(labs));
  return 0;
}

export function describeLabs(labs: readonly LabRow[]): string {
  if (labs.length === 0) return 'There is no lab; "mesh lab up" makes one\n';
  const cells = labs.map(({ name, status, clusters, nodes }) => [
    name,
    status,
    clusters.join(",") || "-",
    String(nodes),
  ]);
  return table(cells, HEADER);
}
