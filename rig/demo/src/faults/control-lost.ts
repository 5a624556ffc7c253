/**
 * Kills west's whole control plane and the shared etcd for 10 s, while west serves and east could: affinity remote.
 * Losing a control plane is not losing a cluster, so traffic must stay where it is.
 */
import { createMarks } from "../drive/marks.js";
import { pollTime, settle, withAffinity } from "../drive/wait.js";
import type { RigWorld } from "../drive/world.js";
import { FAR, NEAR } from "../judge/judge.js";
import type { ControlLostRun } from "../judge/runs.js";
import { LONGEST_FAULT_MS } from "./limits.js";

export async function controlLost(world: RigWorld): Promise<ControlLostRun> {
  await settle(world, NEAR, 3);
  await settle(world, FAR, 3);
  const probe = await world.probe("mesh-etcd");
  try {
    return await withAffinity(world, "remote", async () => {
      const marks = createMarks(world, "control-lost");
      const from = world.now();
      await world.until(from + 1000);
      const injected = marks.add("fault", `SIGKILL of ${FAR}'s control plane and of the shared etcd; affinity remote`);
      const [fault] = await Promise.all([
        world.startFault({ kind: "control-plane", cluster: FAR }, LONGEST_FAULT_MS),
        world.holdDown("mesh-etcd"),
      ]);
      await world.until(world.now() + 10_000);
      const apiAnswers = await world.apiAnswers(FAR);
      marks.add("heal", "they may start again");
      await Promise.all([fault.end(), world.start("mesh-etcd")]);
      const liveAt = await pollTime(world, async () => (await world.live()) && (await world.apiAnswers(FAR)), 30_000);
      if (liveAt !== null) marks.add("heal", `every head is LIVE, and ${FAR}'s API answers`, liveAt);
      const to = world.now() + 1500;
      await world.until(to);
      const refusedMs = probe.refusedMs();
      return { name: "control-lost", window: { from, to }, injected, marks: marks.all, refusedMs, apiAnswers, liveAt };
    });
  } finally {
    await probe.stop();
  }
}
