/** Wipes the shared etcd while east has no replicas; then a change in west must reach east's maps again. */
import { createMarks, type Marks } from "../drive/marks.js";
import { poll, pollTime, settle } from "../drive/wait.js";
import type { RigWorld } from "../drive/world.js";
import { FAR, NEAR } from "../judge/judge.js";
import type { WipeRun } from "../judge/runs.js";
import type { Mono } from "../samples/sample.js";

export async function wipe(world: RigWorld): Promise<WipeRun> {
  await settle(world, NEAR, 0);
  await settle(world, FAR, 3);
  const marks = createMarks(world, "wipe");
  const storeBefore = (await poll(world, () => world.storeId(), 10_000)) ?? "none";
  const from = world.now();
  await world.until(from + 1000);
  const injected = marks.add("fault", "the shared etcd comes back empty");
  await world.wipeStore();
  const storeAfter = await poll(world, () => changed(world, storeBefore), 20_000);
  if (storeAfter !== null) marks.add("heal", "a new store id");
  const liveAt = await pollTime(world, () => world.live(), 20_000);
  if (liveAt !== null) marks.add("heal", "every head is LIVE", liveAt);
  const removal = await removeBackend(world, marks);
  const to = Math.max(from + 11_000, world.now() + 7000);
  await world.until(to);
  await world.scale(FAR, 3);
  return {
    name: "wipe",
    window: { from, to },
    injected,
    marks: marks.all,
    storeBefore,
    storeAfter,
    liveAt,
    ...removal,
  };
}

async function changed(world: RigWorld, before: string): Promise<string | null> {
  const now = await world.storeId();
  return now === before ? null : now;
}

async function removeBackend(world: RigWorld, marks: Marks): Promise<{ sliceAt: Mono | null; mapsAt: Mono | null }> {
  const before = world.ready(FAR);
  const asked = marks.add("fault", `${FAR}: replicas 3 → 2`);
  await world.scale(FAR, 2);
  const sliceAt = await world.waitForReady(FAR, (ready) => ready === 2, asked, 10_000);
  if (sliceAt === null) return { sliceAt, mapsAt: null };
  marks.add("watch", `${FAR} has 2 ready addresses`, sliceAt);
  const after = new Set(world.ready(FAR));
  const removed = before.filter((address) => !after.has(address));
  const inNone = async () => !(await Promise.all(removed.map((address) => world.inMaps(address)))).includes(true);
  const mapsAt = removed.length === 0 ? null : await pollTime(world, inNone, 10_000, 10);
  if (mapsAt !== null) marks.add("heal", `gone from ${NEAR}'s maps`, mapsAt);
  return { sliceAt, mapsAt };
}
