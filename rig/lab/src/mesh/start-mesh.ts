/** Starts the mesh's processes of one cluster: manifests and a token first, then the apiserver, then the agents. */
import { join } from "node:path";
import type { KubeApi } from "../api/kube-api.js";
import { waitForPort } from "../host/wait.js";
import type { ClusterPlan } from "../plan/plan.js";
import type { LabContext } from "../supervise/context.js";
import type { Progress } from "../supervise/progress.js";
import { start } from "../supervise/start.js";
import { applyManifests, renderBase } from "./manifests.js";
import { AGENT_PORT, meshApiServer, nodeAgent } from "./mesh-processes.js";
import { keepToken, type TokenOptions, writeToken } from "./token.js";

const FIRST_STREAM_MS = 10_000;

/** `answering`: resolves once the cluster's API server is ready. In a bare lab there is nothing to start. */
export async function startMesh(
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
  // An agent that starts before the apiserver listens fails to connect and retries only after a back-off.
  const serving = granted
    .then(() => waitForPort(cluster.apiAddress, AGENT_PORT, FIRST_STREAM_MS, signal))
    .catch(() => undefined);
  const agents = cluster.nodes.map((node) => start(context, nodeAgent(context, programs, cluster, node, serving)));
  await Promise.all([...agents, start(context, meshApiServer(context, programs, cluster, granted))]);
}
