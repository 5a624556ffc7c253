/**
 * Brings a lab up: starts everything at once, then waits for each part.
 *
 * In: the context with an empty process table. Out: a lab whose nodes are Ready (bare: registered).
 */
import { mkdir } from "node:fs/promises";
import { createKubeApi } from "../api/kube-api.js";
import { controlPlaneId } from "../cluster/control-plane-processes.js";
import { GUARD_UNIT } from "../faults/start-guard.js";
import { makeCgroup } from "../host/cgroups.js";
import { writeNodeFiles } from "../node/node-files.js";
import { readPodRoutes } from "../node/pod-routes.js";
import { startUnderlay } from "../node/start-underlay.js";
import { routePods } from "../node/underlay.js";
import { adminContext, writeCredentials } from "../pki/write-all.js";
import { allNodes } from "../plan/plan.js";
import { meshEtcd } from "../store/mesh-etcd.js";
import { bringUpCluster } from "./bring-up-cluster.js";
import { cgroupOf, type LabContext } from "./context.js";
import type { Progress } from "./progress.js";
import { start } from "./start.js";
import { watchForCrashes } from "./watch-for-crashes.js";

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

async function routeAllPods(context: LabContext): Promise<void> {
  for (const cluster of context.plan.clusters) {
    const api = createKubeApi(await adminContext(cluster, context.paths));
    const routes = await readPodRoutes(api).finally(() => api.close());
    await routePods({ pid: context.processes.pidOf(controlPlaneId(cluster)) }, routes);
  }
}

function makeCgroups(context: LabContext): void {
  const { plan, hierarchies } = context;
  const clusters = plan.clusters.flatMap(({ name }) => [`control-plane-${name}`, `clustermesh-apiserver-${name}`]);
  const agents = allNodes(plan).map(({ name }) => `agent-${name}`);
  for (const unit of ["underlay", "mesh-etcd", GUARD_UNIT, ...clusters, ...agents])
    makeCgroup(hierarchies, cgroupOf(plan, unit));
}
