/** Removes what a suite created in the shared lab. */
import { NAMESPACES, PODS } from "@isthmus/kube";
import { waitFor } from "../host/wait.js";
import type { LabHandle } from "../life/handle.js";
import { withClient } from "./with-client.js";

/** Resolves when the namespace and its pods are removed from every cluster. */
export async function removeNamespace(lab: LabHandle, namespace: string): Promise<void> {
  await Promise.all(
    lab.plan.clusters.map(({ name }) =>
      withClient(lab, name, async (client) => {
        if (!(await client.delete(NAMESPACES, namespace))) return;
        const isGone = async () =>
          (await client.get(NAMESPACES, namespace)) === undefined &&
          (await client.list(PODS, { namespace })).length === 0;
        await waitFor(`namespace "${namespace}" of "${name}" to go`, isGone, { timeoutMs: 60_000 });
      }),
    ),
  );
}
