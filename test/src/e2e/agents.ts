/** The agent on a node as a test sees it: whether it is ready, what its programs counted, and its restarts. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { controlProcess, type LabHandle, type NodePlan } from "@isthmus/lab";
import { eventually } from "./eventually.js";
import { killAndWait, processOf } from "./processes.js";
import { run } from "./run.js";

/** Runs a program of this machine in the network namespace of a node. */
export async function onNode(lab: LabHandle, { cluster, name }: NodePlan, ...argv: readonly string[]): Promise<string> {
  const { pid } = await processOf(lab.plan.name, { role: "node", cluster, node: name });
  const ran = await run("nsenter", ["-t", String(pid), "-n", ...argv]);
  if (ran.code !== 0) throw new Error(`"${argv.join(" ")}" on ${name} ended with ${ran.code}: ${ran.err}`);
  return ran.out;
}

/** Counters of the programs of a node, by event. */
export async function eventsOn(lab: LabHandle, node: NodePlan): Promise<Readonly<Record<string, number>>> {
  const text = await onNode(lab, node, "curl", "-sf", "http://127.0.0.1:7500/metrics");
  const lines = [...text.matchAll(/^mesh_datapath_events\{event="(\w+)"\} (\d+)$/gm)];
  return Object.fromEntries(lines.map(([, event, count]) => [event, Number(count)]));
}

/** Sends SIGKILL to the agent; resolves when another one is ready. */
export async function restartAgent(lab: LabHandle, node: NodePlan): Promise<void> {
  await killAndWait(lab.plan.name, { role: "node-agent", cluster: node.cluster, node: node.name });
  await agentReady(lab, node);
}

/** Resolves when the agent says that it is ready. */
export async function agentReady(lab: LabHandle, node: NodePlan): Promise<void> {
  const ask = () =>
    onNode(lab, node, "curl", "-sf", "-o", "/dev/null", "http://127.0.0.1:7500/readyz").then(() => true);
  await eventually(`the agent on ${node.name} to be ready`, ask, (ready) => ready, 30_000);
}

/** Makes the node's agent believe that it assigned the address before this one last, so that this one is next once it is free. */
export async function makeNextAddress(lab: LabHandle, node: NodePlan, address: string): Promise<void> {
  const selector = { role: "node-agent", cluster: node.cluster, node: node.name } as const;
  const file = join(lab.paths.node(node.name).varLib, "isthmus", "agent", "pods.json");
  await controlProcess(lab.plan.name, "stop", selector);
  const state = JSON.parse(await readFile(file, "utf8")) as { last: readonly string[] };
  await writeFile(file, JSON.stringify({ ...state, last: [before(address)] }));
  await controlProcess(lab.plan.name, "start", selector);
  await agentReady(lab, node);
}

function before(address: string): string {
  const parts = address.split(".");
  return [...parts.slice(0, 3), Number(parts[3]) - 1].join(".");
}
