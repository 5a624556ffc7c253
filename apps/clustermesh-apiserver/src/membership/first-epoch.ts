/** Reads the epoch saved in the MeshCluster object, before anything is served; "" when there is none. */
import { isRefusal, type KubeClient, MESH_CLUSTERS } from "@isthmus/kube";
import type { Clock } from "@isthmus/model";
import { retry } from "@isthmus/runtime";
import { epochOf } from "./cluster-object.js";

/** Waits for the Kubernetes API; a refusal counts as nothing saved. Rejects only when aborted. */
export async function firstEpoch(
  client: KubeClient,
  cluster: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<string> {
  async function read(): Promise<string> {
    try {
      return epochOf(await client.get(MESH_CLUSTERS, cluster, { signal, timeoutMs: 5000 }));
    } catch (thrown) {
      // A missing permission or CRD is not cured by waiting, and the local path must not wait for the mesh.
      if (isRefusal(thrown)) return "";
      // No answer, or the credentials are refused: nothing else can be read either, and /readyz reports it.
      throw thrown;
    }
  }
  return retry(read, { minMs: 100, maxMs: 2000 }, { clock, signal });
}
