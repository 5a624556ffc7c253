/** `lab up` and `lab down`. */
import { systemClock } from "@isthmus/model";
import { downLab } from "../life/down.js";
import { upLab } from "../life/up.js";
import type { LabArguments } from "./arguments.js";
import type { LabIo } from "./io.js";

export async function runUp(args: LabArguments, io: LabIo): Promise<number> {
  const lab = await upLab({
    name: args.name,
    clusters: args.clusters,
    nodes: args.nodes,
    bare: args.bare,
    onProgress: (sentence) => io.err(`${sentence}\n`),
    ...(io.signal === undefined ? {} : { signal: io.signal }),
  });
  const { clusters } = lab.plan;
  if (args.json) io.out(`${JSON.stringify({ ...lab.plan, kubeconfig: lab.kubeconfig, storeFile: lab.storeFile })}\n`);
  else
    io.out(
      `Lab "${args.name}" is up: ${clusters.map(({ name, nodes }) => `${name} (${nodes.length} nodes)`).join(", ")}\n`,
    );
  return 0;
}

export async function runDown(args: LabArguments, io: LabIo): Promise<number> {
  const startMs = systemClock.now();
  const existed = await downLab({ name: args.name });
  const seconds = Number(((systemClock.now() - startMs) / 1000).toFixed(1));
  if (args.json) io.out(`${JSON.stringify({ name: args.name, existed, seconds })}\n`);
  else io.out(existed ? `Lab "${args.name}" is gone after ${seconds} s\n` : `There is no lab "${args.name}"\n`);
  return 0;
}
