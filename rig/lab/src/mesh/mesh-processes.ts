/** The processes of the mesh: one clustermesh-apiserver per cluster, one agent per node, with their command lines. */
import { join } from "node:path";
import { flags } from "../cluster/control-plane.js";
import { controlPlaneId } from "../cluster/control-plane-processes.js";
import { cgroupDirectories } from "../host/cgroups.js";
import { CNI_BIN_DIR, CNI_CONF_DIR } from "../node/containerd-config.js";
import { nodeId } from "../node/node-processes.js";
import type { LabPaths } from "../plan/paths.js";
import { pinDirectory } from "../plan/pins.js";
import type { ClusterPlan, LabPlan, NodePlan } from "../plan/plan.js";
import { cgroupOf, type LabContext, type MeshPrograms } from "../supervise/context.js";
import type { ProcessSpec } from "../supervise/spec.js";
import { inNetwork } from "../supervise/wrap.js";

export const AGENT_PORT = 7443;
export const ADMIN_PORT = 7444;
/** Of the apiserver and of the agent, each on the loopback of its machine. */
const HEALTH = "127.0.0.1:7500";

export function meshApiServerCommand(programs: MeshPrograms, cluster: ClusterPlan, paths: LabPaths): string[] {
  return [
    programs.node,
    programs.apiServerMain,
    ...flagPairs({
      kubeconfig: paths.cluster(cluster.name).meshKubeconfig,
      namespace: "mesh-system",
      instance: `${cluster.name}-0`,
      listen: `${cluster.apiAddress}:${AGENT_PORT}`,
      admin: `${cluster.apiAddress}:${ADMIN_PORT}`,
      health: HEALTH,
      "tls-dir": paths.cluster(cluster.name).meshTls,
    }),
  ];
}

export interface AgentPlace {
  /** Pid 1 of the node, in the root pid namespace. */
  readonly initPid: number;
  /** The node's directory in the cgroup2 hierarchy. */
  readonly cgroup: string;
}

export function agentCommand(
  programs: MeshPrograms,
  plan: LabPlan,
  cluster: ClusterPlan,
  node: NodePlan,
  place: AgentPlace,
  paths: LabPaths,
): string[] {
  return [
    programs.node,
    programs.agentMain,
    ...flagPairs({
      node: node.name,
      "node-root": `/proc/${place.initPid}/root`,
      cgroup: place.cgroup,
      bpffs: pinDirectory(plan, node),
      servers: `${cluster.apiAddress}:${AGENT_PORT}`,
      "tls-dir": paths.node(node.name).agentTls,
      "state-dir": join(paths.node(node.name).varLib, "isthmus", "agent"),
      health: HEALTH,
      "cni-plugin": programs.cniPlugin,
      "cni-bin-dir": CNI_BIN_DIR,
      "cni-conf-dir": CNI_CONF_DIR,
      "cni-socket": "/run/isthmus/cni.sock",
      ...(plan.datapathMode === undefined ? {} : { "datapath-mode": plan.datapathMode }),
    }),
  ];
}

export function meshApiServer(
  context: LabContext,
  programs: MeshPrograms,
  cluster: ClusterPlan,
  granted: Promise<void>,
): ProcessSpec {
  const argv = meshApiServerCommand(programs, cluster, context.paths);
  return {
    role: "clustermesh-apiserver",
    cluster: cluster.name,
    log: join(context.paths.logs, `clustermesh-apiserver.${cluster.name}.log`),
    cgroup: cgroupOf(context.plan, `clustermesh-apiserver-${cluster.name}`),
    prepare: () => granted,
    command: () => inNetwork(context.processes.pidOf(controlPlaneId(cluster)), argv),
    graceMs: 3_000,
  };
}

/** `serving`: settles when the first start may begin; restarts do not wait for an apiserver. */
export function nodeAgent(
  context: LabContext,
  programs: MeshPrograms,
  cluster: ClusterPlan,
  node: NodePlan,
  serving: Promise<void>,
): ProcessSpec {
  const { plan, paths, processes } = context;
  const unified = context.hierarchies.filter(({ version }) => version === 2);
  const [cgroup = ""] = cgroupDirectories(unified, cgroupOf(plan, `node-${node.name}`));
  return {
    role: "node-agent",
    cluster: cluster.name,
    node: node.name,
    log: join(paths.logs, `node-agent.${node.name}.log`),
    cgroup: cgroupOf(plan, `agent-${node.name}`),
    prepare: async (signal) => {
      await serving;
      await processes.whenReady(nodeId(node), signal);
    },
    command: () => {
      const initPid = processes.pidOf(nodeId(node));
      return inNetwork(initPid, agentCommand(programs, plan, cluster, node, { initPid, cgroup }, paths));
    },
    graceMs: 3_000,
  };
}

/** "--name value" pairs, as the mesh's programs are documented. */
function flagPairs(values: Readonly<Record<string, string>>): string[] {
  return flags(values).flatMap((flag) => {
    const cut = flag.indexOf("=");
    return [flag.slice(0, cut), flag.slice(cut + 1)];
  });
}
