/** SIGKILL of all servers of one cluster, while the other one serves too. The pods are new, so that the kubelet restarts them at once. */
import {
  type Affinity,
  answeredByReady,
  type Check,
  faultProof,
  type KillRun,
  killAll,
  NEAR,
  onlyOpenLost,
  renew,
  settle,
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
      return { ...run, checks: (traffic) => killed(run, 3, traffic) };
    },
  };
}

/** The last pod of the cluster that the Service prefers. */
export const killLast: Drill = {
  name: "kill-last",
  async drive(world) {
    await settle(world, NEAR, 0);
    await settle(world, NEAR, 1);
    const run = await killAll(world, "kill-last", NEAR);
    return { ...run, checks: (traffic) => killed(run, 1, traffic) };
  },
};

/** Two faults at once: the agent of the client's node is killed with the servers. */
export const killWithAgent: Drill = {
  name: "kill-agent",
  async drive(world) {
    await renew(world, NEAR);
    const before = await world.agentPid();
    const run = await killAll(world, "kill-agent", NEAR, async () => {
      const [count] = await Promise.all([world.killServers(NEAR), world.killAgent()]);
      return count;
    });
    const after = await world.agentPid();
    const restarted = faultProof("new agent", after !== null && after !== before, `${before}, then ${after ?? "none"}`);
    return { ...run, checks: (traffic) => [restarted, ...killed(run, 3, traffic)] };
  },
};

function killed(run: Omit<KillRun, "name">, wanted: number, traffic: Traffic): readonly Check[] {
  const { window, killed: count, struck, noneReady } = run;
  const together = noneReady === null ? "never" : "together";
  return [
    faultProof("all NotReady together", noneReady !== null && count === wanted, `${count} killed, ${together}`),
    answeredByReady(traffic, window),
    // A process ends a little after its SIGKILL.
    onlyOpenLost(traffic, window, "reset", struck + WATCH_SLACK_MS),
  ];
}
