/** Functions that wait for conditions of a `World`. */
import { waitWithin } from "@isthmus/runtime";
import type { Mono } from "../samples/sample.js";
import { NEAR } from "../judge/judge.js";
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

/** Scales the cluster to so many ready pods, and then waits two seconds for the mesh. Called before a fault. */
export async function settle(world: RigWorld, cluster: string, replicas: number): Promise<void> {
  if (world.ready(cluster).length === replicas) return;
  const since = world.now();
  await world.scale(cluster, replicas);
  const seen = await world.waitForReady(cluster, (ready) => ready === replicas, since, 60_000);
  if (seen === null) throw new Error(`Cannot go on: "${cluster}" did not get ${replicas} ready pods in 60 s`);
  await world.until(world.now() + 2000);
}

/** Runs `drive` while the Service of the client's cluster has another affinity, beginning two seconds after the change. */
export async function withAffinity<T>(world: RigWorld, affinity: Affinity, drive: () => Promise<T>): Promise<T> {
  await world.setAffinity(NEAR, affinity);
  try {
    await world.until(world.now() + 2000);
    return await drive();
  } finally {
    await world.setAffinity(NEAR, "local");
  }
}
