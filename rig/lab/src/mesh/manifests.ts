/**
 * The manifests that the lab applies to a cluster: the Kustomize base of deploy/ without its workloads, which the lab runs as
 * processes, the CRDs of Cilium's policies, and the ConfigMap with the cluster's static settings.
 */
import { join } from "node:path";
import { readPem } from "@isthmus/pki";
import { parseAllDocuments, stringify } from "yaml";
import { text } from "../api/json.js";
import { run } from "../host/run.js";
import type { LabPaths } from "../plan/paths.js";
import type { ClusterPlan } from "../plan/plan.js";
import { ADMIN_PORT, AGENT_PORT } from "./mesh-processes.js";

const WORKLOADS = new Set(["Deployment", "DaemonSet", "StatefulSet", "PodDisruptionBudget"]);

/** The static settings; `admin-ca` is PEM. */
export function meshConfig(cluster: ClusterPlan, adminCa: string): unknown {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "mesh-config", namespace: "mesh-system" },
    data: {
      "cluster-name": cluster.name,
      "cluster-id": String(cluster.id),
      "pod-cidrs": cluster.podCidr,
      "service-cidrs": cluster.serviceCidr,
      servers: `${cluster.apiAddress}:${AGENT_PORT}`,
      "admin-servers": `${cluster.apiAddress}:${ADMIN_PORT}`,
      "admin-ca": adminCa,
    },
  };
}

/** Drops workloads and any mesh-config; keeps the order. */
export function withoutWorkloads(yaml: string): unknown[] {
  return parseAllDocuments(yaml)
    .map((document): unknown => document.toJS())
    .filter((object) => object !== null && !WORKLOADS.has(text(object, "kind")))
    .filter((object) => !(text(object, "kind") === "ConfigMap" && text(object, "metadata", "name") === "mesh-config"));
}

/** `deploy`: the folder of the manifests. */
export async function renderBase(kubectl: string, deploy: string, signal: AbortSignal): Promise<unknown[]> {
  const parts = ["base", "cilium-crds"].map((part) => run([kubectl, "kustomize", join(deploy, part)], { signal }));
  return (await Promise.all(parts)).flatMap(withoutWorkloads);
}

export async function applyManifests(
  kubectl: string,
  base: readonly unknown[],
  cluster: ClusterPlan,
  paths: LabPaths,
  signal: AbortSignal,
): Promise<void> {
  const adminCa = await readPem(join(paths.cluster(cluster.name).meshTls, "ca.crt"));
  const objects = [...base, meshConfig(cluster, adminCa)];
  const input = objects.map((object) => stringify(object)).join("---\n");
  const argv = [
    kubectl,
    "--kubeconfig",
    paths.kubeconfig,
    "--context",
    cluster.name,
    "apply",
    "--validate=false",
    "-f",
    "-",
  ];
  await run(argv, { input, signal });
}
