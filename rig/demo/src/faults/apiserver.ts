/** Kills east's clustermesh-apiserver with SIGKILL and keeps it down for 10 s, while east has no replicas. */
import { createMarks } from "../drive/marks.js";
import { pollTime, settle } from "../drive/wait.js";
import type { RigWorld } from "../drive/world.js";
import { NEAR } from "../judge/judge.js";
import type { ApiserverRun } from "../judge/runs.js";

export async function apiserver(world: RigWorld): Promise<ApiserverRun> {
  await settle(world, NEAR, 0);
  const marks = createMarks(world, "apiserver");
  const probe = await world.probe("clustermesh-apiserver");
  try {
    const from = world.now();
    await world.until(from + 1000);
    const injected = marks.add("fault", `SIGKILL of ${NEAR}'s clustermesh-apiserver`);
    await world.holdDown("clustermesh-apiserver");
    await world.until(injected + 10_000);
    marks.add("heal", "it may start again");
    await world.start("clustermesh-apiserver");
    const open = await pollTime(world, async () => probe.open(), 20_000);
    if (open !== null) marks.add("heal", "its port is open", open);
    const to = world.now() + 1500;
    await world.until(to);
    return { name: "apiserver", window: { from, to }, injected, marks: marks.all, refusedMs: probe.refusedMs() };
  } finally {
    await probe.stop();
  }
}
