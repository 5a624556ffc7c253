/**
 * The processes of one node: its pid 1, which keeps its namespaces alive, then containerd and the kubelet inside them.
 *
 * When pid 1 exits, everything in the node ends. The node restarts like a machine after a reboot: same disk, new kernel state.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { GO_ENV } from "../cluster/control-plane-processes.js";
import { isUnified, makeInner } from "../host/cgroups.js";
import { findProgram } from "../host/preflight.js";
import { waitFor } from "../host/wait.js";
import { PACKAGE_ROOT } from "../plan/paths.js";
import type { NodePlan } from "../plan/plan.js";
import { cgroupOf, type LabContext } from "../supervise/context.js";
import type { ProcessSpec } from "../supervise/spec.js";
import { inNode } from "../supervise/wrap.js";
import { CONTAINERD_SOCKET } from "./containerd-config.js";
import { kubeletCommand } from "./kubelet-config.js";
import { NODE_CONFIG_DIR } from "./node-folders.js";
import { clearNodeState } from "./reboot.js";
import { proxyEnvironment } from "./registry-proxy.js";
import { connectMachine } from "./underlay.js";

export function nodeId(node: NodePlan): string {
  return `node.${node.name}`;
}

/** On a host with cgroup v2 only, the node's group delegates controllers and therefore has no process of its own. */
export function nodeProcessCgroup(context: LabContext, node: NodePlan): string {
  const unit = cgroupOf(context.plan, `node-${node.name}`);
  return isUnified(context.hierarchies) ? `${unit}/init` : unit;
}

export function nodeProcesses(context: LabContext, node: NodePlan): ProcessSpec[] {
  return [holder(context, node), containerd(context, node), kubelet(context, node)];
}

function holder(context: LabContext, node: NodePlan): ProcessSpec {
  const { plan, paths, inputs, hierarchies } = context;
  const unshare = [
    "unshare",
    "--mount",
    "--propagation",
    "private",
    "--cgroup",
    "--uts",
    "--ipc",
    "--net",
    "--pid",
    "--fork",
    "--kill-child",
  ];
  const mounts = hierarchies.map((at) => `${at.mount}|${at.version}|${at.mountOptions}`);
  const init = ["/bin/sh", join(PACKAGE_ROOT, "native", "node-init.sh")];
  return {
    role: "node",
    cluster: node.cluster,
    node: node.name,
    log: join(paths.logs, `node.${node.name}.log`),
    cgroup: cgroupOf(plan, `node-${node.name}`),
    prepare: async (signal) => {
      await context.processes.whenReady("underlay", signal);
      await clearNodeState(context, node, signal);
    },
    command: () => [...unshare, ...init, node.name, paths.node(node.name).root, inputs.bin, inputs.reaper, ...mounts],
    forks: true,
    started: async (pid) => {
      const ready = () => existsSync(`/proc/${pid}/root/run/lab/ready`) || endedEarly(pid, node);
      await waitFor(`node "${node.name}" to set itself up`, ready, { timeoutMs: 20_000, everyMs: 10 });
      if (isUnified(hierarchies)) makeInner(hierarchies, cgroupOf(plan, `node-${node.name}`));
      await connectMachine(plan, node, pid, context.processes.pidOf("underlay"));
    },
    graceMs: 0,
  };
}

function endedEarly(pid: number, node: NodePlan): false {
  if (!existsSync(`/proc/${pid}`)) throw new Error(`node "${node.name}" ended while it set itself up`);
  return false;
}

function containerd(context: LabContext, node: NodePlan): ProcessSpec {
  const argv = [
    findProgram("containerd") ?? "containerd",
    "--config",
    `${NODE_CONFIG_DIR}/containerd.toml`,
    "--log-level",
    "info",
  ];
  return {
    ...inside(context, node, "containerd", argv),
    env: { ...GO_ENV, ...proxyEnvironment(context.plan.underlay.rootAddress) },
    prepare: async (signal) => void (await context.processes.whenReady(nodeId(node), signal)),
    started: async () => {
      const socket = `/proc/${context.processes.pidOf(nodeId(node))}/root${CONTAINERD_SOCKET}`;
      await waitFor(`containerd of "${node.name}" to listen`, () => existsSync(socket), {
        timeoutMs: 20_000,
        everyMs: 10,
      });
    },
  };
}

function kubelet(context: LabContext, node: NodePlan): ProcessSpec {
  return {
    ...inside(context, node, "kubelet", kubeletCommand(node)),
    prepare: async (signal) => void (await context.processes.whenReady(`containerd.${node.name}`, signal)),
  };
}

function inside(
  context: LabContext,
  node: NodePlan,
  role: "containerd" | "kubelet",
  argv: readonly string[],
): ProcessSpec {
  return {
    role,
    cluster: node.cluster,
    node: node.name,
    log: join(context.paths.logs, `${role}.${node.name}.log`),
    cgroup: nodeProcessCgroup(context, node),
    env: GO_ENV,
    command: () => inNode(context.processes.pidOf(nodeId(node)), argv),
    forks: true,
    graceMs: 2_000,
  };
}
