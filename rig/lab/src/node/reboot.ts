/** Removes what a machine loses when it restarts: processes, control groups, pins. Its disk stays. */
import { rm } from "node:fs/promises";
import { makeCgroup, pidsBelow, removeCgroup } from "../host/cgroups.js";
import { waitFor } from "../host/wait.js";
import { pinDirectory } from "../plan/pins.js";
import type { NodePlan } from "../plan/plan.js";
import { cgroupOf, type LabContext } from "../supervise/context.js";

/** Called before every start of a node's pid 1; on the first one there is nothing to remove. */
export async function clearNodeState(context: LabContext, node: NodePlan, signal: AbortSignal): Promise<void> {
  const { plan, hierarchies, processes } = context;
  const group = cgroupOf(plan, `node-${node.name}`);
  // The agent runs in the network namespace of the old pid 1; its supervisor restarts it in the new one.
  const agent = processes.all().find(({ id }) => id === `node-agent.${node.name}`);
  agent?.kill();
  const isEmpty = () => pidsBelow(hierarchies, group).size === 0 && removeCgroup(hierarchies, group).length === 0;
  await waitFor(`the end of what ran on "${node.name}"`, isEmpty, { timeoutMs: 20_000, everyMs: 10, signal });
  await rm(pinDirectory(plan, node), { recursive: true, force: true });
  makeCgroup(hierarchies, group);
}
