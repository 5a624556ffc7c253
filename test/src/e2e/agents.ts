/** The agent on a node as a test sees it: whether it is ready, what its programs counted, and its restarts. */
import type { LabHandle, NodePlan } from "@isthmus/lab";
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
