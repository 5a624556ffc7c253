/** SIGKILL of all servers of one cluster, while the other one serves too. The pods are new, so that the kubelet restarts them at once. */
import {
  type Affinity,
  type Check,
  faultProof,
  type KillRun,
  killAll,
  onlyOpenLost,
  renew,
  type Traffic,
  WATCH_SLACK_MS,
  withAffinity,
} from "@isthmus/demo";
import type { Drill } from "./drill.js";

export function killing(name: string, cluster: string, affinity: Affinity): Drill {
  return {
    name,
    async drive(world) {
      await renew(world, cluster);
      const run = await withAffinity(world, affinity, () => killAll(world, name, cluster));
      return { window: run.window, marks: run.marks, checks: (traffic) => killed(run, traffic) };
    },
  };
}

function killed(
  { window, killed: count, struck, noneReady }: Omit<KillRun, "name">,
  traffic: Traffic,
): readonly Check[] {
  const together = noneReady === null ? "never" : "together";
  return [
    faultProof("all NotReady together", noneReady !== null && count === 3, `${count} killed, ${together}`),
    // A process ends a little after its SIGKILL.
    onlyOpenLost(traffic, window, "reset", struck + WATCH_SLACK_MS),
  ];
}
