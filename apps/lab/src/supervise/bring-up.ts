/**
 * Brings a lab up: everything is started at once, then each part is waited for.
 *
 * In: the context with an empty process table. Out: a lab whose nodes are Ready (bare: registered).
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { list, text } from "../api/json.js";
import { createKubeApi, type KubeApi } from "../api/kube-api.js";
import { controlPlaneProcesses } from "../cluster/control-plane-processes.js";
import { makeCgroup } from "../host/cgroups.js";
import { runsProgram } from "../host/process.js";
import { waitFor, waitForPort } from "../host/wait.js";
import { applyManifests, renderBase } from "../mesh/manifests.js";
import { AGENT_PORT, meshApiServer, nodeAgent } from "../mesh/mesh-processes.js";
import { keepToken, type TokenOptions, writeToken } from "../mesh/token.js";
import { importImage } from "../node/images.js";
import { writeNodeFiles } from "../node/node-files.js";
import { nodeProcesses } from "../node/node-processes.js";
import { readPodRoutes } from "../node/pod-routes.js";
import { createRegistryProxy, REGISTRY_PROXY_PORT } from "../node/registry-proxy.js";
import { routePods, setUpUnderlay } from "../node/underlay.js";
import { adminContext, writeCredentials } from "../pki/write-all.js";
import { allNodes, type ClusterPlan, type NodePlan } from "../plan/plan.js";
import { openCommand, prepareStore } from "../store/mesh-etcd.js";
import { cgroupOf, type LabContext } from "./context.js";
import { createManagedProcess } from "./managed-process.js";
import type { Progress } from "./progress.js";
import type { ProcessSpec } from "./spec.js";
import { watchForCrashes } from "./watch-for-crashes.js";
import { inNetwork } from "./wrap.js";

const READY_TIMEOUT_MS = 120_000;
const FIRST_STREAM_MS = 10_000;

export async function bringUp(context: LabContext, progress: Progress): Promise<void> {
  const { plan, paths, modules } = context;
  await progress.step("certificates and files", async () => {
    makeCgroups(context);
    await mkdir(paths.logs, { recursive: true });
    await writeCredentials(plan, paths);
    await Promise.all(
      plan.clusters.flatMap((cluster) => cluster.nodes.map((node) => writeNodeFiles(cluster, node, paths))),
    );
  });
  await progress.step("underlay", () => startUnderlay(context), "underlay");
  const crashes = watchForCrashes(context.processes);
  const signal = AbortSignal.any([modules.signal, crashes.signal]);
  try {
    await Promise.all([
      progress.step("mesh-etcd", () => start(context, meshEtcd(context)), "mesh-etcd"),
      ...plan.clusters.map((cluster) => bringUpCluster(context, cluster, progress, signal)),
    ]);
    await progress.step("routes to pods", () => routeAllPods(context));
  } finally {
    crashes.stop();
  }
  progress.ready();
}

async function bringUpCluster(
  context: LabContext,
  cluster: ClusterPlan,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const api = createKubeApi(await adminContext(cluster, context.paths));
  context.modules.signal.addEventListener("abort", () => api.close(), { once: true });
  const started = controlPlaneProcesses(context, cluster).map((spec) => start(context, spec));
  const answering = progress.step(
    `kube-apiserver ${cluster.name}`,
    async () => {
      await Promise.all(started);
      await waitForApi(api, cluster, progress, signal);
    },
    `kube-apiserver.${cluster.name}`,
  );
  const meshed = startMesh(context, cluster, api, answering, progress, signal);
  const nodes = cluster.nodes.map((node) =>
    progress.step(
      `node ${node.name}`,
      async () => {
        await startNode(context, node, signal);
        await answering;
        await waitForNode(api, node, context.inputs.mesh !== undefined, signal);
      },
      `kubelet.${node.name}`,
    ),
  );
  await Promise.all([answering, meshed, ...nodes]);
}

async function startNode(context: LabContext, node: NodePlan, signal: AbortSignal): Promise<void> {
  const [holder, containerd, kubelet] = nodeProcesses(context, node);
  if (holder === undefined || containerd === undefined || kubelet === undefined) return;
  await start(context, holder);
  await start(context, containerd);
  const imports = context.inputs.imageArchives.map((file) => importImage(context, node, file, signal));
  await Promise.all([start(context, kubelet), ...imports]);
}

async function startMesh(
  context: LabContext,
  cluster: ClusterPlan,
  api: KubeApi,
  answering: Promise<void>,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const programs = context.inputs.mesh;
  if (programs === undefined) return;
  const kubectl = join(context.inputs.bin, "kubectl");
  const token: TokenOptions = {
    namespace: "mesh-system",
    serviceAccount: "clustermesh-apiserver",
    file: context.paths.cluster(cluster.name).token,
  };
  const granted = answering.then(() =>
    progress.step(`manifests ${cluster.name}`, async () => {
      const base = await renderBase(kubectl, programs.manifests, signal);
      await applyManifests(kubectl, base, cluster, context.paths, signal);
      await writeToken(api, token);
      void keepToken(api, token, context.modules.signal);
    }),
  );
  // An agent that starts before it can be served finds nobody, and finds out late that this has changed.
  const serving = granted
    .then(() => waitForPort(cluster.apiAddress, AGENT_PORT, FIRST_STREAM_MS, signal))
    .catch(() => undefined);
  const agents = cluster.nodes.map((node) => start(context, nodeAgent(context, programs, cluster, node, serving)));
  await Promise.all([...agents, start(context, meshApiServer(context, programs, cluster, granted))]);
}

async function waitForApi(api: KubeApi, cluster: ClusterPlan, progress: Progress, signal: AbortSignal): Promise<void> {
  let reason: string | undefined;
  const look = async () => {
    const before = reason;
    reason = await api.refusal("/readyz");
    if (reason !== undefined && reason !== before) progress.note(`kube-apiserver ${cluster.name}`, reason);
    return reason === undefined;
  };
  const what = `the API server of "${cluster.name}"`;
  await waitFor(what, look, { timeoutMs: READY_TIMEOUT_MS, everyMs: 100, signal, reason: () => reason ?? "" });
}

/** Ready and without taints; in a bare lab: registered, with a range for pods. */
async function waitForNode(api: KubeApi, node: NodePlan, ready: boolean, signal: AbortSignal): Promise<void> {
  const look = async () => {
    const object = await api.get(`/api/v1/nodes/${node.name}`);
    if (text(object, "spec", "podCIDR") === "") return false;
    if (!ready) return true;
    const conditions = list(object, "status", "conditions");
    const isReady = conditions.some((one) => text(one, "type") === "Ready" && text(one, "status") === "True");
    return isReady && list(object, "spec", "taints").length === 0;
  };
  const what = `node "${node.name}" to be ${ready ? "Ready" : "registered"}`;
  await waitFor(what, look, { timeoutMs: READY_TIMEOUT_MS, everyMs: 100, signal });
}

async function routeAllPods(context: LabContext): Promise<void> {
  for (const cluster of context.plan.clusters) {
    const api = createKubeApi(await adminContext(cluster, context.paths));
    const routes = await readPodRoutes(api).finally(() => api.close());
    await routePods({ pid: context.processes.pidOf("underlay") }, routes);
  }
}

async function startUnderlay(context: LabContext): Promise<void> {
  await start(context, underlay(context));
  const proxy = createRegistryProxy(process.env["HTTPS_PROXY"] ?? process.env["https_proxy"]);
  proxy.listen(REGISTRY_PROXY_PORT, context.plan.underlay.rootAddress);
  proxy.unref();
}

function underlay(context: LabContext): ProcessSpec {
  return {
    role: "underlay",
    log: join(context.paths.logs, "underlay.log"),
    cgroup: cgroupOf(context.plan, "underlay"),
    command: () => ["unshare", "--net", "--", context.inputs.reaper],
    // The namespace is there once the command became the reaper.
    started: async (pid) => {
      await waitFor("the underlay's namespace", () => runsProgram(pid, context.inputs.reaper), {
        timeoutMs: 5_000,
        everyMs: 5,
      });
      await setUpUnderlay(context.plan, pid);
    },
    graceMs: 0,
  };
}

function meshEtcd(context: LabContext): ProcessSpec {
  const { plan, paths, inputs, modules } = context;
  const spec: ProcessSpec = {
    role: "mesh-etcd",
    log: join(paths.logs, "mesh-etcd.log"),
    cgroup: cgroupOf(plan, "mesh-etcd"),
    prepare: (signal) => prepareStore(spec, inputs.bin, paths, { ...modules, signal }),
    command: () => inNetwork(context.processes.pidOf("underlay"), openCommand(inputs.bin, plan, paths)),
    graceMs: 3_000,
  };
  return spec;
}

function makeCgroups(context: LabContext): void {
  const { plan, hierarchies } = context;
  const clusters = plan.clusters.flatMap(({ name }) => [`control-plane-${name}`, `clustermesh-apiserver-${name}`]);
  const agents = allNodes(plan).map(({ name }) => `agent-${name}`);
  for (const unit of ["underlay", "mesh-etcd", ...clusters, ...agents]) makeCgroup(hierarchies, cgroupOf(plan, unit));
}

async function start(context: LabContext, spec: ProcessSpec): Promise<void> {
  const managed = createManagedProcess(spec, context.modules);
  context.processes.add(managed);
  await managed.start();
}
