/** Writes every certificate and kubeconfig of a lab. A lab that is brought up again gets new ones. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readPair, readPem } from "@isthmus/pki";
import type { LabPaths } from "../plan/paths.js";
import type { ClusterPlan, LabPlan } from "../plan/plan.js";
import { writeClusterCertificates } from "./cluster-certificates.js";
import { type KubeContext, type KubeCredential, kubeconfig } from "./kubeconfig.js";
import { storeFile, writeStoreCertificates } from "./store-certificates.js";

export async function writeCredentials(plan: LabPlan, paths: LabPaths): Promise<void> {
  await Promise.all([
    writeStoreCertificates(plan, paths).then(() => writeSecret(paths.store.file, storeFile(plan, paths))),
    ...plan.clusters.map((cluster) => writeCluster(cluster, paths)),
  ]);
  const admins = await Promise.all(plan.clusters.map((cluster) => adminContext(cluster, paths)));
  await writeSecret(paths.kubeconfig, kubeconfig(admins));
}

export async function adminContext(cluster: ClusterPlan, paths: LabPaths): Promise<KubeContext> {
  return await pairContext(cluster, paths, paths.cluster(cluster.name).pki, "admin");
}

async function writeCluster(cluster: ClusterPlan, paths: LabPaths): Promise<void> {
  await writeClusterCertificates(cluster, paths);
  const { pki, token, meshKubeconfig } = paths.cluster(cluster.name);
  for (const name of ["kube-controller-manager", "kube-scheduler"]) {
    await writeSecret(join(pki, `${name}.kubeconfig`), kubeconfig([await pairContext(cluster, paths, pki, name)]));
  }
  for (const node of cluster.nodes) {
    const directory = paths.node(node.name).config;
    const context = await pairContext(cluster, paths, directory, "kubelet");
    await writeSecret(join(directory, "kubelet.kubeconfig"), kubeconfig([context]));
  }
  await writeSecret(meshKubeconfig, kubeconfig([await contextWith(cluster, paths, { tokenFile: token })]));
}

async function pairContext(
  cluster: ClusterPlan,
  paths: LabPaths,
  directory: string,
  name: string,
): Promise<KubeContext> {
  return await contextWith(cluster, paths, await readPair(directory, name));
}

async function contextWith(cluster: ClusterPlan, paths: LabPaths, credential: KubeCredential): Promise<KubeContext> {
  const authority = await readPem(join(paths.cluster(cluster.name).pki, "ca.crt"));
  return { name: cluster.name, server: `https://${cluster.apiAddress}:6443`, authority, credential };
}

async function writeSecret(file: string, text: string): Promise<void> {
  await mkdir(join(file, ".."), { recursive: true });
  await writeFile(file, text, { mode: 0o600 });
}
