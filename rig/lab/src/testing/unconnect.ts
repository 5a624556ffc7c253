/**
 * Undoes `mesh connect`: removes MeshPeers, store settings, users, and everything in the store. Afterwards the clusters of a lab are
 * unconnected, as after `up`, whatever ran on them before.
 */
import { rm } from "node:fs/promises";
import { type KubeClient, MESH_CLUSTERS, MESH_PEERS, type MeshCluster } from "@isthmus/kube";
import { waitFor, waitForPort } from "../host/wait.js";
import type { LabHandle } from "../life/handle.js";
import { withClient } from "./with-client.js";

const TIMEOUT_MS = 60_000;

export async function unconnect(lab: LabHandle): Promise<void> {
  await Promise.all(lab.plan.clusters.map(({ name }) => withClient(lab, name, (client) => leave(client, name))));
  await rm(lab.paths.store.users, { force: true });
  await lab.client.wipe("mesh-etcd");
  await waitForPort(lab.plan.underlay.storeAddress, 2379, TIMEOUT_MS);
}

/** Removes peers and store from one cluster; resolves when its clustermesh-apiserver reports that. */
async function leave(client: KubeClient, cluster: string): Promise<void> {
  await waitFor(`MeshCluster "${cluster}"`, () => client.get(MESH_CLUSTERS, cluster), { timeoutMs: TIMEOUT_MS });
  await client.mergePatch(MESH_CLUSTERS, cluster, { spec: { store: null } });
  for (const { metadata } of await client.list(MESH_PEERS)) await client.delete(MESH_PEERS, metadata.name ?? "");
  const isAlone = async () => {
    const status = (await client.get<MeshCluster>(MESH_CLUSTERS, cluster))?.status;
    return status?.conditions?.some(({ type, reason }) => type === "StoreReachable" && reason === "NoStore");
  };
  await waitFor(`"${cluster}" to let go of the store`, isAlone, { timeoutMs: TIMEOUT_MS });
}
