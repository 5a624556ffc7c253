/** Keeps the shared etcd down for 10 s or more; meanwhile east's replicas change 0 → 3 → 0. */
import { createMarks, type Marks } from "../drive/marks.js";
import { pollTime, settle } from "../drive/wait.js";
import type { RigWorld } from "../drive/world.js";
import { FAR, NEAR } from "../judge/judge.js";
import type { EtcdRun, Move } from "../judge/runs.js";

export async function etcd(world: RigWorld): Promise<EtcdRun> {
  await settle(world, NEAR, 0);
  const marks = createMarks(world, "etcd");
  const probe = await world.probe("mesh-etcd");
  try {
    const from = world.now();
    await world.until(from + 1000);
    const injected = marks.add("fault", "the shared etcd goes down");
    await world.holdDown("mesh-etcd");
    const up = await scaleUp(world, marks);
    const asked = marks.add("fault", `${NEAR}: replicas 3 → 0`);
    await world.scale(NEAR, 0);
    const seen = await world.waitForReady(NEAR, (ready) => ready === 0, asked, 10_000);
    if (seen !== null) marks.add("watch", `${NEAR} has no ready address`, seen);
    await world.until(Math.max(injected + 10_000, world.now() + 1500));
    marks.add("heal", "the shared etcd may start again");
    await world.start("mesh-etcd");
    const open = await pollTime(world, async () => probe.open(), 15_000);
    if (open !== null) marks.add("heal", "its port is open", open);
    const to = Math.max(world.now() + 1500, asked + 8000);
    await world.until(to);
    const down: Move = { text: "none ready", to: FAR, requestedAt: asked, seen, until: to };
    const moves = [{ ...up, until: asked }, down];
    return { name: "etcd", window: { from, to }, injected, marks: marks.all, refusedMs: probe.refusedMs(), moves };
  } finally {
    await probe.stop();
  }
}

async function scaleUp(world: RigWorld, marks: Marks): Promise<Omit<Move, "until">> {
  const asked = marks.add("fault", `${NEAR}: replicas 0 → 3`);
  await world.scale(NEAR, 3);
  const seen = await world.waitForReady(NEAR, (ready) => ready > 0, asked, 20_000);
  if (seen !== null) marks.add("watch", `${NEAR} has a ready address`, seen);
  await world.waitForReady(NEAR, (ready) => ready === 3, asked, 5000);
  await world.until(Math.max(world.now(), (seen ?? 0) + 2000));
  return { text: "first ready address", to: NEAR, requestedAt: asked, seen };
}
