/**
 * Scales east back to 3, with new pods (the kubelet would delay the restart of a container that crashed before), then sends
 * SIGKILL to all three processes at once. They listen again 3 s after their restart, so all are NotReady together for a while.
 * Until Kubernetes says so, connects to them are moved to another backend, here to west.
 */
import { createMarks } from "../drive/marks.js";
import { settle } from "../drive/wait.js";
import type { RigWorld } from "../drive/world.js";
import { NEAR } from "../judge/judge.js";
import type { KillRun } from "../judge/runs.js";

export async function kill(world: RigWorld): Promise<KillRun> {
  await settle(world, NEAR, 3);
  return { name: "kill", ...(await killAll(world, "kill", NEAR)) };
}

/** Kills all servers of a cluster, and waits until they are back. `fault`: its name in marks. `kill`: returns how many it killed. */
export async function killAll(
  world: RigWorld,
  fault: string,
  cluster: string,
  kill = () => world.killServers(cluster),
): Promise<Omit<KillRun, "name">> {
  const marks = createMarks(world, fault);
  const from = world.now();
  await world.until(from + 2000);
  const injected = marks.add("fault", `SIGKILL of all of ${cluster}'s servers`);
  const killed = await kill();
  const struck = world.now();
  const noneReady = await world.waitForReady(cluster, (ready) => ready === 0, injected, 10_000);
  if (noneReady !== null) marks.add("watch", `${cluster} has no ready address`, noneReady);
  const firstReady =
    noneReady === null ? null : await world.waitForReady(cluster, (ready) => ready > 0, noneReady, 30_000);
  if (firstReady !== null) marks.add("watch", `${cluster} has a ready address`, firstReady);
  const to = world.now() + 11_000;
  await world.until(to);
  return { window: { from, to }, injected, marks: marks.all, killed, struck, noneReady, firstReady };
}
