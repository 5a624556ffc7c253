/** What to do about a cluster that could not be queried, by cause: network, login, a missing right, or clustermesh-apiserver. */
import { KubeError } from "@isthmus/kube";
import type { MeshError } from "@isthmus/model";
import { kubectl } from "../output/units.js";

export interface Problem {
  /** One sentence, without a full stop. */
  readonly message: string;
  /** What to do, mostly a command with the context in it. */
  readonly fix: string;
}

/** The `fix` for an error of a cluster; `context` is quoted for a shell where needed. */
export function adviceFor(error: MeshError, context: string): string {
  const command = kubectl(context);
  if (error instanceof KubeError) return kubernetes(error, command);
  if (error.code === "MESH_CLUSTERS") return `delete the objects of other clusters: ${command} delete meshcluster NAME`;
  // Access to the admin API needs Kubernetes, which may be what failed.
  if (error.cause instanceof KubeError) return kubernetes(error.cause, command);
  if (error.code === "ADMIN" && (error.data as { refused?: boolean }).refused === true)
    return `write account and rights anew: ${command} apply -k deploy/base`;
  return `see: ${command} -n mesh-system get pods`;
}

function kubernetes(error: KubeError, command: string): string {
  if (error.status === 401) return `log in to that cluster again, then: ${command} auth whoami`;
  if (error.status === 403)
    return `let its administrator bind ClusterRole mesh-operator and Role mesh-system/mesh-operator (deploy/base) to you; what you may do: ${command} auth can-i --list`;
  if (error.code === "KUBE_CONFIG") return `correct the kubeconfig, then: ${command} get --raw /version`;
  return `check that its API server runs and can be reached from here: ${command} get --raw /version`;
}
