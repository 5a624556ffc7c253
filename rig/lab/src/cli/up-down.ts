/** `lab up` and `lab down`. */
import { MeshError, systemClock } from "@isthmus/model";
import { labNames } from "../life/claim.js";
import { downLab } from "../life/down.js";
import { upLab } from "../life/up.js";
import type { ClusterPlan } from "../plan/plan.js";
import type { LabArguments } from "./arguments.js";
import type { LabIo } from "./io.js";

export async function runUp(args: LabArguments, io: LabIo): Promise<number> {
  const startMs = systemClock.now();
  const seconds = () => ((systemClock.now() - startMs) / 1000).toFixed(1).padStart(6);
  const lab = await upLab({
    name: args.name,
    clusters: args.clusters,
    nodes: args.nodes,
    bare: args.bare,
    ...(args.datapathMode === undefined ? {} : { datapathMode: args.datapathMode }),
    onProgress: (sentence) => io.err(`${seconds()} s  ${sentence}\n`),
    ...(io.signal === undefined ? {} : { signal: io.signal }),
  });
  const { clusters } = lab.plan;
  if (args.json) io.out(`${JSON.stringify({ ...lab.plan, kubeconfig: lab.kubeconfig, storeFile: lab.storeFile })}\n`);
  else io.out(`Lab "${args.name}" is up: ${clusters.map(sized).join(", ")}\n`);
  return 0;
}

/** `east (2 nodes)` */
export function sized({ name, nodes }: Pick<ClusterPlan, "name" | "nodes">): string {
  return `${name} (${nodes.length} node${nodes.length === 1 ? "" : "s"})`;
}

export async function runDown(args: LabArguments, io: LabIo): Promise<number> {
  if (args.all) return await downEach(await labNames(), downLab, args.json, io);
  const gone = await timed(args.name, downLab);
  if (args.json) io.out(`${JSON.stringify(gone)}\n`);
  else io.out(gone.existed ? sentence(gone) : `There is no lab "${args.name}"\n`);
  return 0;
}

interface Gone {
  readonly name: string;
  readonly existed: boolean;
  readonly seconds: number;
}

/** Removes each lab. One that cannot be removed does not stop the others; the exit code is then 1. */
export async function downEach(
  names: readonly string[],
  down: typeof downLab,
  json: boolean,
  io: Pick<LabIo, "out" | "err">,
): Promise<number> {
  const gone: Gone[] = [];
  for (const name of names) {
    try {
      gone.push(await timed(name, down));
      if (!json) io.out(gone.slice(-1).map(sentence).join(""));
    } catch (thrown) {
      io.err(`Lab "${name}": ${MeshError.from(thrown).message}\n`);
    }
  }
  if (json) io.out(`${JSON.stringify(gone)}\n`);
  else if (names.length === 0) io.out("There is no lab\n");
  return gone.length === names.length ? 0 : 1;
}

async function timed(name: string, down: typeof downLab): Promise<Gone> {
  const startMs = systemClock.now();
  const existed = await down({ name });
  return { name, existed, seconds: Number(((systemClock.now() - startMs) / 1000).toFixed(1)) };
}

function sentence({ name, seconds }: Gone): string {
  return `Lab "${name}" is gone after ${seconds} s\n`;
}
