/** What to do about a cluster that could not be asked, by what failed: the way to it, the login, a right, or our server. */
import { KubeError } from "@isthmus/kube";
import type { MeshError } from "@isthmus/model";
import { shellWord } from "../output/units.js";

export function adviceFor(error: MeshError, context: string): string {
  const kubectl = `kubectl --context ${shellWord(context)}`;
  if (error instanceof KubeError) return kubernetes(error, kubectl);
  if (error.code === "MESH_CLUSTERS") return `delete the objects of other clusters: ${kubectl} delete meshcluster NAME`;
  // The admin API is reached by way of Kubernetes: what failed may be that.
  if (error.cause instanceof KubeError) return kubernetes(error.cause, kubectl);
  if (error.code === "ADMIN" && (error.data as { refused?: boolean }).refused === true)
    return `write account and rights anew: ${kubectl} apply -k deploy/base`;
  return `see: ${kubectl} -n mesh-system get pods`;
}

function kubernetes(error: KubeError, kubectl: string): string {
  if (error.status === 401) return `log in to that cluster again, then: ${kubectl} auth whoami`;
  if (error.status === 403)
    return `let its administrator bind ClusterRole mesh-operator and Role mesh-system/mesh-operator (deploy/base) to you; what you may do: ${kubectl} auth can-i --list`;
  if (error.code === "KUBE_CONFIG") return `correct the kubeconfig, then: ${kubectl} get --raw /version`;
  return `check that its API server runs and can be reached from here: ${kubectl} get --raw /version`;
}
