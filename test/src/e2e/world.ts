/**
 * The environment of the tests in this package: two clusters of two nodes, not connected, with a prober pod on the first node of
 * each.
 */
import { fileURLToPath } from "node:url";
import { NAMESPACES, PODS } from "@isthmus/kube";
import { type LabHandle, loadImage } from "@isthmus/lab";
import { removeNamespace, type TestLab, testLab, unconnect } from "@isthmus/lab/testing";
import { type Cluster, openCluster, PROBER } from "./cluster.js";
import { NAMESPACE, namespace, prober } from "./objects.js";
import { probeImage } from "./probe-image.js";
import { type Ran, run } from "./run.js";

export interface TestClusters {
  readonly lab: TestLab;
  readonly east: Cluster;
  readonly west: Cluster;
  /** The CLI as a user runs it after `mesh lab env`. */
  mesh(...args: readonly string[]): Promise<Ran>;
}

export const MANAGER = { manager: "e2e", force: true };

const MESH = fileURLToPath(new URL("../../../apps/mesh/bin/mesh.js", import.meta.url));

export async function openWorld(): Promise<TestClusters> {
  const lab = await testLab();
  const [east, west] = lab.plan.clusters.map((plan) => openCluster(lab, plan));
  if (east === undefined || west === undefined) throw new Error("Cannot test without two clusters");
  await unconnect(lab);
  await loadImage(lab.plan.name, await probeImage());
  await Promise.all([east, west].map(prepare));
  return { lab, east, west, mesh: meshOf(lab) };
}

/** The CLI with the lab's environment. */
export function meshOf(lab: LabHandle): (...args: readonly string[]) => Promise<Ran> {
  const env = { KUBECONFIG: lab.kubeconfig, MESH_STORE: lab.storeFile };
  return (...args) => run(process.execPath, [MESH, ...args], env);
}

async function prepare(cluster: Cluster): Promise<void> {
  await cluster.client.apply(NAMESPACES, namespace, MANAGER);
  await cluster.client.apply(PODS, prober(PROBER, cluster.plan.nodes[0]?.name ?? ""), MANAGER);
  const waited = await cluster.kubectl("wait", `pod/${PROBER}`, "--for=condition=Ready", "--timeout=60s");
  if (waited.code !== 0) throw new Error(`Cannot start the prober in ${cluster.plan.name}: ${waited.err}`);
}

/** Removes everything that the tests created in the lab. */
export async function closeWorld({ lab, east, west }: TestClusters): Promise<void> {
  east.close();
  west.close();
  await removeNamespace(lab, NAMESPACE);
  await lab.release();
}
