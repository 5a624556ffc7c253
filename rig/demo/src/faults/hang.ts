/**
 * Suspends all of east's servers with SIGSTOP until Kubernetes has called them NotReady for five seconds.
 *
 * The kernel goes on to accept connections for a suspended process. Nothing tells them from those to a slow server, so no
 * datapath can move them: they are lost until the readiness probes have failed.
 */
import { createMarks } from "../drive/marks.js";
import { settle } from "../drive/wait.js";
import type { RigWorld } from "../drive/world.js";
import { NEAR } from "../judge/judge.js";
import type { HangRun } from "../judge/runs.js";

export async function hang(world: RigWorld): Promise<HangRun> {
  await settle(world, NEAR, 3);
  const marks = createMarks(world, "hang");
  const from = world.now();
  await world.until(from + 2000);
  const injected = marks.add("fault", `SIGSTOP of all of ${NEAR}'s servers`);
  const suspension = await world.suspendServers(NEAR);
  const noneReady = await world.waitForReady(NEAR, (ready) => ready === 0, injected, 10_000);
  if (noneReady !== null) marks.add("watch", `${NEAR} has no ready address`, noneReady);
  await world.until(world.now() + 5000);
  // Before they run: a probe that waits is answered at once.
  const resumed = marks.add("heal", "SIGCONT");
  await suspension.end();
  const firstReady = await world.waitForReady(NEAR, (ready) => ready > 0, resumed, 10_000);
  if (firstReady !== null) marks.add("watch", `${NEAR} has a ready address`, firstReady);
  await world.waitForReady(NEAR, (ready) => ready === 3, resumed, 10_000);
  const to = world.now() + 3000;
  await world.until(to);
  return {
    name: "hang",
    window: { from, to },
    injected,
    marks: marks.all,
    suspended: suspension.count,
    noneReady,
    firstReady,
  };
}
