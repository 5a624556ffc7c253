/** All of west goes dark for 10 s, while the Service has affinity none: both clusters serve, and nobody says that one is gone. */
import { createMarks } from "../drive/marks.js";
import { settle, withAffinity } from "../drive/wait.js";
import type { RigWorld } from "../drive/world.js";
import { FAR, NEAR } from "../judge/judge.js";
import type { DarkRun } from "../judge/runs.js";
import { LONGEST_FAULT_MS } from "./limits.js";

export async function dark(world: RigWorld): Promise<DarkRun> {
  await settle(world, NEAR, 3);
  await settle(world, FAR, 3);
  return await withAffinity(world, "none", async () => {
    const marks = createMarks(world, "dark");
    const from = world.now();
    await world.until(from + 1000);
    const injected = marks.add("fault", `all of ${FAR} goes dark; affinity none`);
    const fault = await world.startFault({ kind: "dark", cluster: FAR }, LONGEST_FAULT_MS);
    const struck = marks.add("fault", "in force");
    await world.until(struck + 10_000);
    const lifted = marks.add("heal", "it is not dark any more");
    await fault.end();
    const to = world.now() + 2000;
    await world.until(to);
    return { name: "dark", window: { from, to }, injected, marks: marks.all, struck, lifted };
  });
}
