/** Scales east from 3 replicas to 0, gracefully, under load. */
import { createMarks } from "../drive/marks.js";
import { settle } from "../drive/wait.js";
import type { RigWorld } from "../drive/world.js";
import { FAR, NEAR } from "../judge/judge.js";
import type { ScaleDownRun } from "../judge/runs.js";

export async function scaleDown(world: RigWorld): Promise<ScaleDownRun> {
  await settle(world, NEAR, 3);
  const marks = createMarks(world, "scale-down");
  const from = world.now();
  await world.until(from + 2000);
  const asked = marks.add("fault", `${NEAR}: replicas 3 → 0`);
  await world.scale(NEAR, 0);
  const seen = await world.waitForReady(NEAR, (ready) => ready === 0, asked, 10_000);
  if (seen !== null) marks.add("watch", `${NEAR} has no ready address`, seen);
  // Long enough for the old pods to exit after their grace period, so that a connection that still goes there is lost.
  const to = Math.max(world.now(), asked) + 9000;
  await world.until(to);
  const move = { text: "no ready address", to: FAR, requestedAt: asked, seen, until: to };
  return { name: "scale-down", window: { from, to }, injected: asked, marks: marks.all, move };
}
