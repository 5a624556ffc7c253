/** The lab of the benchmark: two clusters of two nodes, connected by the CLI; always taken down at the end. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createKubeClient, createTransport, type KubeClient, loadKubeAccess } from "@isthmus/kube";
import { type ClusterPlan, downLab, type LabHandle, upLab } from "@isthmus/lab";

export const LAB = "bench";

const MESH = fileURLToPath(new URL("../../../../apps/mesh/bin/mesh.js", import.meta.url));

export interface BenchCluster {
  readonly plan: ClusterPlan;
  readonly client: KubeClient;
}

export interface BenchLab {
  readonly lab: LabHandle;
  readonly east: BenchCluster;
  readonly west: BenchCluster;
}

export async function withLab<T>(measure: (lab: BenchLab) => Promise<T>): Promise<T> {
  const lab = await upLab({ name: LAB, clusters: ["east", "west"], nodes: 2, onProgress: console.error });
  const clusters = lab.plan.clusters.map((plan) => {
    const access = loadKubeAccess({ kubeconfig: lab.kubeconfig, context: plan.name });
    return { plan, client: createKubeClient(createTransport(access)) };
  });
  try {
    const [east, west] = clusters;
    if (east === undefined || west === undefined) throw new Error("Cannot measure without two clusters");
    await mesh(lab, "connect", "east", "west");
    await mesh(lab, "status", "--wait", "--timeout", "60s");
    return await measure({ lab, east, west });
  } finally {
    for (const { client } of clusters) client.transport.close();
    await downLab({ name: LAB });
  }
}

/** Rejects with the command's output when its exit code is not 0. */
export async function mesh(lab: LabHandle, ...args: readonly string[]): Promise<void> {
  const env = { ...process.env, KUBECONFIG: lab.kubeconfig, MESH_STORE: lab.storeFile };
  await promisify(execFile)(process.execPath, [MESH, ...args], { env });
}
