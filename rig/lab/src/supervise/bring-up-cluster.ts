/** Brings one cluster up: starts its control plane, the mesh's processes and its nodes at once, then waits for each. */
import { list, text } from "../api/json.js";
import { createKubeApi, type KubeApi } from "../api/kube-api.js";
import { controlPlaneProcesses } from "../cluster/control-plane-processes.js";
import { waitFor } from "../host/wait.js";
import { startMesh } from "../mesh/start-mesh.js";
import { importImage } from "../node/images.js";
import { nodeProcesses } from "../node/node-processes.js";
import { adminContext } from "../pki/write-all.js";
import type { ClusterPlan, NodePlan } from "../plan/plan.js";
import type { LabContext } from "./context.js";
import type { Progress } from "./progress.js";
import { start } from "./start.js";

const READY_TIMEOUT_MS = 120_000;

/** `signal`: aborted when the lab ends, or when a process cannot stay alive. */
export async function bringUpCluster(
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

/** Waits until the node is Ready and without taints; in a bare lab, until it is registered and has a pod range. */
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
