/** Reads the mesh's objects in one cluster. */
import { CONFIG_MAPS, type KubeClient, type KubeConfigMap, MESH_CLUSTERS, type MeshCluster } from "@isthmus/kube";
import { MeshError } from "@isthmus/model";
import { kubectl } from "../output/units.js";

export const MESH_NAMESPACE = "mesh-system";
export const CLI_ACCOUNT = "mesh-cli";
export const CONFIG_NAME = "mesh-config";

/** The cluster's MeshCluster; undefined when the mesh is not installed. Throws MESH_CLUSTERS when there are several. */
export async function readMeshCluster(client: KubeClient, timeoutMs?: number): Promise<MeshCluster | undefined> {
  const target = timeoutMs === undefined ? {} : { timeoutMs };
  const all = await client.list<MeshCluster>(MESH_CLUSTERS, target).catch(noSuchKind);
  if (all.length <= 1) return all[0];
  const names = all.map(({ metadata }) => metadata.name ?? "").sort();
  throw new MeshError(
    { code: "MESH_CLUSTERS", names },
    `Cannot tell which MeshCluster is this cluster: ${names.join(", ")}`,
  );
}

/** The settings that the CLI needs; undefined without the ConfigMap. */
export async function readMeshConfig(client: KubeClient): Promise<Readonly<Record<string, string>> | undefined> {
  return (await client.get<KubeConfigMap>(CONFIG_MAPS, CONFIG_NAME, { namespace: MESH_NAMESPACE }))?.data;
}

/** Why the current mesh-config is not in force; undefined when it is, or when the apiserver does not report it. */
export function configProblem(cluster: MeshCluster): string | undefined {
  const found = cluster.status?.conditions?.find(({ type }) => type === "ConfigAccepted");
  return found?.status === "False" ? found.message : undefined;
}

/** What to do about a mesh-config that is not in force. */
export function configFix(context: string): string {
  return `${kubectl(context)} -n ${MESH_NAMESPACE} edit configmap ${CONFIG_NAME}`;
}

/** For `catch`: a kind that is not installed has no objects. Rethrows any other error. */
export function noSuchKind(thrown: unknown): [] {
  if (thrown instanceof MeshError && (thrown.data as { status?: number }).status === 404) return [];
  throw thrown;
}
