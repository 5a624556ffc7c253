/** One of west's nodes goes dark for 8 s, while east has no replicas: Kubernetes still calls the pods there Ready. */
import { createMarks } from "../drive/marks.js";
import { settle } from "../drive/wait.js";
import type { PlacedPod, RigWorld } from "../drive/world.js";
import { FAR, NEAR } from "../judge/judge.js";
import type { NodeDarkRun } from "../judge/runs.js";
import { LONGEST_FAULT_MS } from "./limits.js";

export async function nodeDark(world: RigWorld): Promise<NodeDarkRun> {
  await settle(world, NEAR, 0);
  await settle(world, FAR, 3);
  const pods = await world.placedPods(FAR);
  const node = busiestOfSeveral(pods);
  const darkPods = pods.filter((each) => each.node === node).map(({ pod }) => pod);
  const marks = createMarks(world, "node-dark");
  const from = world.now();
  await world.until(from + 1000);
  const injected = marks.add(
    "fault",
    `${FAR}'s node ${node} goes dark, with ${darkPods.length} of ${pods.length} pods`,
  );
  const fault = await world.startFault({ kind: "node", cluster: FAR, node }, LONGEST_FAULT_MS);
  const struck = marks.add("fault", "in force");
  await world.until(struck + 8000);
  const lifted = marks.add("heal", "it is not dark any more");
  await fault.end();
  const to = world.now() + 2000;
  await world.until(to);
  return { name: "node-dark", window: { from, to }, injected, marks: marks.all, struck, lifted, darkPods };
}

/** The node with the most pods. Throws when no other node has one. */
function busiestOfSeveral(pods: readonly PlacedPod[]): string {
  const counts = new Map<string, number>();
  for (const { node } of pods) counts.set(node, (counts.get(node) ?? 0) + 1);
  const [first, second] = [...counts].sort(([, a], [, b]) => b - a);
  if (first === undefined || second === undefined)
    throw new Error(`Cannot go on: the pods of "${FAR}" are not on several nodes`);
  return first[0];
}
