/**
 * The one lab that all end-to-end tests of this package share: two clusters of two nodes, the mesh connected by the CLI,
 * a prober pod on the first node of each.
 */
import { fileURLToPath } from "node:url";
import { NAMESPACES, PODS } from "@isthmus/kube";
import { downLab, type LabHandle, loadImage, upLab } from "@isthmus/lab";
import { type Cluster, openCluster, PROBER } from "./cluster.js";
import { namespace, prober } from "./objects.js";
import { probeImage } from "./probe-image.js";
import { type Ran, run } from "./run.js";

export interface World {
  readonly lab: LabHandle;
  readonly east: Cluster;
  readonly west: Cluster;
  /** The CLI as a user runs it after `mesh lab env`. */
  mesh(...args: readonly string[]): Promise<Ran>;
}

export const LAB = "e2e";
export const MANAGER = { manager: "e2e", force: true };

const MESH = fileURLToPath(new URL("../../../apps/mesh/bin/mesh.js", import.meta.url));

export async function openWorld(): Promise<World> {
  const lab = await upLab({ name: LAB, clusters: ["east", "west"], nodes: 2 });
  const [east, west] = lab.plan.clusters.map((plan) => openCluster(lab, plan));
  if (east === undefined || west === undefined) throw new Error("Cannot test without two clusters");
  await loadImage(LAB, await probeImage());
  await Promise.all([east, west].map(prepare));
  const env = { KUBECONFIG: lab.kubeconfig, MESH_STORE: lab.storeFile };
  return { lab, east, west, mesh: (...args) => run(process.execPath, [MESH, ...args], env) };
}

async function prepare(cluster: Cluster): Promise<void> {
  await cluster.client.apply(NAMESPACES, namespace, MANAGER);
  await cluster.client.apply(PODS, prober(PROBER, cluster.plan.nodes[0]?.name ?? ""), MANAGER);
  const waited = await cluster.kubectl("wait", `pod/${PROBER}`, "--for=condition=Ready", "--timeout=60s");
  if (waited.code !== 0) throw new Error(`Cannot start the prober in ${cluster.plan.name}: ${waited.err}`);
}

/** Takes the lab down; may be called twice. */
export async function closeWorld(world: World | undefined): Promise<void> {
  world?.east.close();
  world?.west.close();
  await downLab({ name: LAB });
}
