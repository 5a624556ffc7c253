/** `lab logs ROLE`: prints the log files of the processes selected by role, cluster and node; with headers when there are several. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { lastLines } from "../host/run.js";
import { openLab } from "../life/handle.js";
import { labError } from "../plan/errors.js";
import { allNodes, type LabPlan } from "../plan/plan.js";
import { NAMESPACE_ROLES } from "../supervise/spec.js";
import type { LabArguments } from "./arguments.js";
import { followFiles } from "./follow-files.js";
import type { LabIo } from "./io.js";
import { checkPlace, type Target } from "../plan/place.js";
import { knownRole } from "./role.js";

export async function runLogs(args: LabArguments, io: LabIo): Promise<number> {
  const role = knownRole(args, NAMESPACE_ROLES);
  const lab = await openLab(args.name);
  const wanted = logNames(lab.plan, role, checkPlace(lab.plan, args));
  const present = new Set(await readdir(lab.paths.logs).catch(() => []));
  const names = wanted.filter((name) => present.has(name));
  if (names.length === 0) throw labError("NOT_FOUND", `No log of "${role}" there in lab "${args.name}"`);
  const logs = await Promise.all(names.map((name) => readFile(join(lab.paths.logs, name))));
  const texts = logs.map((log) => (args.tail === 0 ? log.toString() : `${lastLines(log.toString(), args.tail)}\n`));
  if (args.json) {
    io.out(`${JSON.stringify(Object.fromEntries(names.map((name, index) => [name, texts[index]])), null, 2)}\n`);
    return 0;
  }
  for (const [index, name] of names.entries()) io.out(`${names.length > 1 ? `==> ${name} <==\n` : ""}${texts[index]}`);
  if (args.follow) await followFiles(lab.paths.logs, new Map(names.map((name, i) => [name, logs[i]?.length ?? 0])), io);
  return 0;
}

/** File names that may exist for a role: one for the lab, for each cluster, or for each node. */
export function logNames(plan: LabPlan, role: string, { cluster, node }: Target = {}): string[] {
  const clusters = plan.clusters.filter(({ name }) => cluster === undefined || name === cluster);
  const nodes = allNodes(plan).filter(
    (one) => (cluster === undefined || one.cluster === cluster) && (node === undefined || one.name === node),
  );
  const ofLab = cluster === undefined && node === undefined ? [`${role}.log`] : [];
  const ofClusters = node === undefined ? clusters.map(({ name }) => `${role}.${name}.log`) : [];
  return [...ofLab, ...ofClusters, ...nodes.map(({ name }) => `${role}.${name}.log`)];
}
