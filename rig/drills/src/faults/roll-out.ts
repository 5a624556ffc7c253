/** A rollout of the servers of one cluster, which exit at once on SIGTERM: their addresses are backends for some time after that. */
import {
  answeredByReady,
  connectsKept,
  createMarks,
  faultProof,
  NEAR,
  pollTime,
  type RigWorld,
  type Traffic,
} from "@isthmus/demo";
import type { Drill, DrillRun } from "./drill.js";

const ROLLOUT_MS = 90_000;
/** Connections that were open when their server ended: five at most for each of three servers. */
const MOST_OPEN = 15;

export const rollOut: Drill = { name: "rollout", drive };

async function drive(world: RigWorld): Promise<DrillRun> {
  const before = await podNames(world);
  const marks = createMarks(world, "rollout");
  const from = world.now();
  await world.until(from + 1000);
  const injected = marks.add("fault", `${NEAR}: new pods, one after another; the old ones exit at once on SIGTERM`);
  await world.rollOut(NEAR);
  const done = await pollTime(world, () => world.rolledOut(NEAR), ROLLOUT_MS, 100);
  if (done !== null) marks.add("watch", "all pods are new");
  const kept = (await podNames(world)).filter((pod) => before.includes(pod));
  const to = Math.max(world.now() + 2000, injected + 10_000);
  await world.until(to);
  const window = { from, to };
  const text = `no connect lost; of those established before, ${MOST_OPEN} or fewer`;
  const checks = (traffic: Traffic) => [
    faultProof("all pods are new", done !== null && kept.length === 0, `${kept.length} old ones`),
    answeredByReady(traffic, window),
    connectsKept(traffic, window, { text, outcome: "reset", until: to, most: MOST_OPEN }),
  ];
  return { window, marks: marks.all, checks };
}

async function podNames(world: RigWorld): Promise<readonly string[]> {
  return (await world.placedPods(NEAR)).map(({ pod }) => pod);
}
