/** The rig of a lab: parts are processes of its supervisor. */
import { cp } from "node:fs/promises";
import { join } from "node:path";
import {
  clearFaults,
  controlProcess,
  type LabHandle,
  type LabPlan,
  labStatus,
  pinDirectory,
  type Selector,
  startFault,
  wipe,
} from "@isthmus/lab";
import { openMapView } from "../drive/map-view.js";
import type { Part } from "../drive/world.js";
import { NEAR } from "../judge/judge.js";
import type { Address, Rig, RigControls } from "./rig.js";
import { demoProcesses } from "./server-processes.js";
import { suspendProcesses } from "./suspend-processes.js";

export function labRig(lab: LabHandle): Rig {
  return {
    name: `lab "${lab.plan.name}"`,
    clusters: lab.plan.clusters.map((cluster) => cluster.name),
    kubeconfig: lab.kubeconfig,
    storeFile: lab.storeFile,
    env: { PATH: `${lab.bin}:${process.env["PATH"] ?? ""}` },
    alternative: "use another lab: --lab NAME",
    useFile: join(lab.paths.root, "demo.json"),
    controls: async (clientNode) => controlsOf(lab, clientNode),
    saveLogs: (folder) => cp(lab.paths.logs, folder, { recursive: true }),
  };
}

function controlsOf({ plan }: LabHandle, clientNode: string): RigControls {
  const node = plan.clusters.flatMap((cluster) => cluster.nodes).find((each) => each.name === clientNode);
  if (node === undefined) throw new Error(`Cannot find node "${clientNode}" in the lab`);
  const agent = { role: "node-agent", cluster: NEAR, node: clientNode };
  return {
    agentPid: async () => pidIn(await labStatus(plan.name), agent),
    killAgent: async () => void (await controlProcess(plan.name, "kill", agent)),
    holdDown: async (part) => void (await controlProcess(plan.name, "hold", selectorOf(part))),
    start: async (part) => void (await controlProcess(plan.name, "start", selectorOf(part))),
    addresses: async (part) => [addressOf(plan, part)],
    wipeStore: async () => void (await wipe(plan.name)),
    async killServers(_cluster, podUids) {
      const pids = await demoProcesses(podUids);
      for (const pid of pids) process.kill(pid, "SIGKILL");
      return pids.length;
    },
    suspendServers: async (_cluster, podUids) => suspendProcesses(await demoProcesses(podUids)),
    async startFault(fault, forMs) {
      const { id } = await startFault(plan.name, fault, forMs);
      return { end: async () => void (await clearFaults(plan.name, id)) };
    },
    maps: openMapView(pinDirectory(plan, node)),
  };
}

export function selectorOf(part: Part): Selector {
  return part === "mesh-etcd" ? { role: part } : { role: part, cluster: NEAR };
}

/** Throws when the near cluster is not in the plan. */
export function addressOf(plan: LabPlan, part: Part): Address {
  if (part === "mesh-etcd") return { host: plan.underlay.storeAddress, port: 2379 };
  const near = plan.clusters.find((cluster) => cluster.name === NEAR);
  if (near === undefined) throw new Error(`Cannot find cluster "${NEAR}" in the lab`);
  return { host: near.apiAddress, port: 7443 };
}

/** Pid of the process that the selector names; null while it does not run. */
export function pidIn(
  rows: readonly { readonly role: string; readonly cluster: string; readonly node: string; readonly pid: number }[],
  { role, cluster, node }: Selector,
): number | null {
  const row = rows.find(
    (each) => each.role === role && (cluster ?? each.cluster) === each.cluster && (node ?? each.node) === each.node,
  );
  return row === undefined || row.pid === 0 ? null : row.pid;
}
