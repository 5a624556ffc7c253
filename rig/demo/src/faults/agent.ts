/** Kills the agent on the client's node with SIGKILL, while east has no replicas. */
import { createMarks } from "../drive/marks.js";
import { poll, settle } from "../drive/wait.js";
import type { RigWorld } from "../drive/world.js";
import { NEAR } from "../judge/judge.js";
import type { AgentRun } from "../judge/runs.js";

export async function agent(world: RigWorld): Promise<AgentRun> {
  await settle(world, NEAR, 0);
  const marks = createMarks(world, "agent");
  const oldPid = (await world.agentPid()) ?? 0;
  const from = world.now();
  await world.until(from + 1000);
  const injected = marks.add("fault", `SIGKILL of the agent on the client's node (pid ${oldPid})`);
  await world.killAgent();
  const newPid = await poll(
    world,
    async () => {
      const pid = await world.agentPid();
      return pid === oldPid ? null : pid;
    },
    // A kubelet restarts a container that crashes again within ten minutes with a growing back-off, as in a second demo on kind.
    60_000,
  );
  if (newPid !== null) marks.add("heal", `a new agent, pid ${newPid}`);
  const to = Math.max(from + 11_000, world.now() + 1000);
  await world.until(to);
  return { name: "agent", window: { from, to }, injected, marks: marks.all, oldPid, newPid };
}
