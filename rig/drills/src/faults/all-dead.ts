/** SIGKILL of all servers of both clusters: nothing is left that a connect could go to, so it is refused, and soon. */
import {
  answeredByReady,
  type Check,
  connectsKept,
  createMarks,
  FAR,
  faultProof,
  type Mono,
  NEAR,
  readyAgain,
  renew,
  type RigWorld,
  type Sample,
  type Traffic,
  WATCH_SLACK_MS,
  type Window,
  within,
} from "@isthmus/demo";
import { percentile, refusalTimes } from "../figures.js";
import type { Drill, DrillRun } from "./drill.js";

const CLUSTERS = [NEAR, FAR];
const MOST_MS = 5;
/** Requests that a failed check describes. */
const SHOWN = 3;

export const allDead: Drill = { name: "all-dead", drive };

async function drive(world: RigWorld): Promise<DrillRun> {
  await Promise.all(CLUSTERS.map((cluster) => renew(world, cluster)));
  const marks = createMarks(world, "all-dead");
  const from = world.now();
  await world.until(from + 1000);
  const injected = marks.add("fault", "SIGKILL of all servers of both clusters");
  const killed = await Promise.all(CLUSTERS.map((cluster) => world.killServers(cluster)));
  const count = killed.reduce((sum, each) => sum + each, 0);
  const struck = world.now();
  const noneReady = await allOf(CLUSTERS.map((each) => world.waitForReady(each, (n) => n === 0, injected, 10_000)));
  if (noneReady !== null) marks.add("watch", "no cluster has a ready address", Math.max(...noneReady));
  const firstReady =
    noneReady === null
      ? null
      : await allOf(CLUSTERS.map((each, n) => seenReady(world, each, noneReady[n] ?? injected)));
  if (firstReady !== null) marks.add("watch", "each has one again", Math.max(...firstReady));
  const to = Math.max(world.now() + 2000, injected + 10_000);
  await world.until(to);
  const back = firstReady === null ? null : { from: Math.max(...firstReady) + 1000, to };
  const checks = (traffic: Traffic) => [
    faultProof("no cluster has a ready address", count === 6 && noneReady !== null, `${count} killed`),
    answeredByReady(traffic, { from, to }),
    refusedSoon(traffic, struck, to),
    answeredAgain(traffic, back),
  ];
  return { window: { from, to }, marks: marks.all, checks };
}

function seenReady(world: RigWorld, cluster: string, noneReady: Mono): Promise<Mono | null> {
  return world.waitForReady(cluster, (ready) => ready > 0, noneReady, 30_000);
}

async function allOf(times: readonly Promise<Mono | null>[]): Promise<readonly Mono[] | null> {
  const found = await Promise.all(times);
  return found.every((time) => time !== null) ? found : null;
}

/** From `struck` on until the first server of any cluster is ready. */
function refusedSoon(traffic: Traffic, struck: Mono, to: Mono): Check {
  const again = readyAgain(traffic, { from: struck, to }, CLUSTERS);
  // A process ends a little after its SIGKILL.
  const samples = again === null ? [] : within(traffic, { from: struck + WATCH_SLACK_MS, to: again });
  const others = samples.filter(({ outcome }) => outcome !== "refused");
  const toEnd = ({ outcome, due }: Sample) => `${outcome} ${Math.round((again ?? 0) - due)} ms before its end`;
  const found = [`${others.length} others of ${samples.length}`, ...others.slice(0, SHOWN).map(toEnd)].join(", ");
  const median = percentile(refusalTimes(samples), 50);
  return {
    text: `all refused meanwhile, the median ≤ ${MOST_MS} ms after it was due`,
    passed: samples.length > 0 && others.length === 0 && median <= MOST_MS,
    detail: samples.length === 0 ? "never" : `${found}; ${median.toFixed(1)} ms`,
  };
}

function answeredAgain(traffic: Traffic, window: Window | null): Check {
  const text = "nothing lost from 1 s after the first is Ready";
  if (window === null) return { text, passed: false, detail: "never" };
  return connectsKept(traffic, window, { text, outcome: "reset", until: null, most: 0 });
}
