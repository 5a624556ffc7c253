/**
 * Certificates of one cluster: those of Kubernetes (one CA), and those of the mesh (another CA, for agents and the admin API).
 *
 * In: the plan. Out: files below the folders of the cluster and its nodes; names as Kubernetes expects them.
 */
import { createPublicKey } from "node:crypto";
import { join } from "node:path";
import {
  type Authority,
  createAuthority,
  createKey,
  issue,
  type Leaf,
  writeCertificate,
  writeKey,
  writePair,
} from "@isthmus/pki";
import type { LabPaths } from "../plan/paths.js";
import type { ClusterPlan } from "../plan/plan.js";

/** The names and addresses in the API server's certificate. */
export function apiServerNames(cluster: ClusterPlan): string[] {
  return [
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "127.0.0.1",
    cluster.apiAddress,
    cluster.kubernetesServiceAddress,
  ];
}

/** Certificates of the control plane, by file name. */
function controlPlaneLeaves(cluster: ClusterPlan): Record<string, Leaf> {
  const master = (cn: string): Leaf => ({ cn, organizations: ["system:masters"], usages: ["client"] });
  return {
    apiserver: { cn: "kube-apiserver", sans: apiServerNames(cluster), usages: ["server"] },
    "apiserver-kubelet-client": master("kube-apiserver-kubelet-client"),
    admin: master(`lab-admin-${cluster.name}`),
    "kube-controller-manager": master("system:kube-controller-manager"),
    "kube-scheduler": master("system:kube-scheduler"),
  };
}

export async function writeClusterCertificates(cluster: ClusterPlan, paths: LabPaths): Promise<void> {
  const pki = paths.cluster(cluster.name).pki;
  const [authority, serviceAccountKey] = await Promise.all([
    createAuthority(`${cluster.name}-kubernetes`),
    createKey(),
  ]);
  await writePair(pki, "ca", authority);
  await writeKey(join(pki, "service-account.key"), serviceAccountKey);
  const publicKey = createPublicKey(serviceAccountKey).export({ format: "pem", type: "spki" }).toString();
  await writeCertificate(join(pki, "service-account.pub"), publicKey);
  for (const [name, leaf] of Object.entries(controlPlaneLeaves(cluster))) {
    await writePair(pki, name, await issue(authority, leaf));
  }
  await Promise.all(cluster.nodes.map((node) => writeKubeletCertificate(authority, node.name, node.address, paths)));
  await writeMeshCertificates(cluster, paths);
}

async function writeKubeletCertificate(
  authority: Authority,
  node: string,
  address: string,
  paths: LabPaths,
): Promise<void> {
  const leaf: Leaf = {
    cn: `system:node:${node}`,
    organizations: ["system:nodes"],
    sans: [node, address],
    usages: ["client", "server"],
  };
  const directory = paths.node(node).config;
  await writePair(directory, "kubelet", await issue(authority, leaf));
  await writeCertificate(join(directory, "ca.crt"), authority.certificate);
}

/** `ca.crt tls.crt tls.key` for the clustermesh-apiserver and for each agent. */
async function writeMeshCertificates(cluster: ClusterPlan, paths: LabPaths): Promise<void> {
  const authority = await createAuthority(`${cluster.name}-mesh`);
  const server: Leaf = {
    cn: "clustermesh-apiserver",
    sans: ["localhost", "127.0.0.1", "clustermesh-apiserver.mesh-system.svc", cluster.apiAddress],
    usages: ["server"],
  };
  await writeTls(paths.cluster(cluster.name).meshTls, authority, server);
  await writeKey(join(paths.cluster(cluster.name).pki, "mesh-ca.key"), authority.key);
  for (const node of cluster.nodes) {
    const client: Leaf = { cn: `system:mesh-node:${node.name}`, sans: [node.name], usages: ["client"] };
    await writeTls(paths.node(node.name).agentTls, authority, client);
  }
}

async function writeTls(directory: string, authority: Authority, leaf: Leaf): Promise<void> {
  await writeCertificate(join(directory, "ca.crt"), authority.certificate);
  await writePair(directory, "tls", await issue(authority, leaf));
}
