/** What a suite made in a lab that others use after it. */
import { NAMESPACES, PODS } from "@isthmus/kube";
import { waitFor } from "../host/wait.js";
import type { LabHandle } from "../life/handle.js";
import { withClient } from "./with-client.js";

/** Resolves when the namespace is gone from every cluster, with its pods. */
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
