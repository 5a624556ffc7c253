/** Functions that wait for conditions of a `World`. */
import { waitWithin } from "@isthmus/runtime";
import type { Mono } from "../samples/sample.js";
import { FAR, NEAR } from "../judge/judge.js";
import type { Affinity, RigWorld } from "./world.js";

/** Polls every `everyMs` until there is an answer; returns null when there is none in time. */
export async function poll<T>(
  world: RigWorld,
  ask: () => Promise<T | null>,
  withinMs: number,
  everyMs = 50,
): Promise<T | null> {
  const clock = { now: () => world.now(), delay: (ms: number) => world.until(world.now() + ms) };
  const answer = await waitWithin(async () => (await ask()) ?? undefined, { timeoutMs: withinMs, everyMs, clock });
  return answer ?? null;
}

/** Polls until the condition holds; returns the time of that poll. */
export function pollTime(world: RigWorld, holds: () => Promise<boolean>, withinMs: number, everyMs = 50) {
  return poll<Mono>(world, async () => ((await holds()) ? world.now() : null), withinMs, everyMs);
}

/** How long a mesh may take to follow; one that takes longer is what the next fault is to find. */
const FOLLOW_MS = 2000;

/** Scales the cluster to so many ready pods, and waits until the maps follow, two seconds at most. Called before a fault. */
export async function settle(world: RigWorld, cluster: string, replicas: number): Promise<void> {
  const before = world.ready(cluster);
  if (before.length === replicas) return;
  const since = world.now();
  await world.scale(cluster, replicas);
  const seen = await world.waitForReady(cluster, (ready) => ready === replicas, since, 60_000);
  if (seen === null) throw new Error(`Cannot go on: "${cluster}" did not get ${replicas} ready pods in 60 s`);
  await pollTime(world, () => inMapsAs(world, world.ready(cluster), before), FOLLOW_MS);
}

/** True when the maps of the client's node have all of `now`, and nothing of `before` that is not in it. */
async function inMapsAs(world: RigWorld, now: readonly string[], before: readonly string[]): Promise<boolean> {
  const gone = before.filter((address) => !now.includes(address));
  const held = await Promise.all([...now, ...gone].map((address) => world.inMaps(address)));
  return held.every((isHeld, n) => isHeld === n < now.length);
}

/** Replaces all pods of the cluster by three new ones: the kubelet delays the restart of a container that crashed before. */
export async function renew(world: RigWorld, cluster: string): Promise<void> {
  await settle(world, cluster, 0);
  await settle(world, cluster, 3);
}

/** A second of requests. */
const ANSWERS = 100;

/** True when the last second's requests were answered as the affinity says, while both clusters have backends. */
export function answersFit(world: RigWorld, affinity: Affinity): boolean {
  const answers = world.lastAnswers(ANSWERS);
  if (affinity === "none") return answers.includes(NEAR) && answers.includes(FAR);
  return answers.length === ANSWERS && answers.every((cluster) => cluster === (affinity === "local" ? NEAR : FAR));
}

/** Runs `drive` while the Service of the client's cluster has another affinity, beginning when the traffic follows it. */
export async function withAffinity<T>(world: RigWorld, affinity: Affinity, drive: () => Promise<T>): Promise<T> {
  await world.setAffinity(NEAR, affinity);
  try {
    const fits = await pollTime(world, async () => answersFit(world, affinity), 10_000);
    if (fits === null) throw new Error(`Cannot go on: traffic did not follow affinity ${affinity} in 10 s`);
    return await drive();
  } finally {
    await world.setAffinity(NEAR, "local");
  }
}
