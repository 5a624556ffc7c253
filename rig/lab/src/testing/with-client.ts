/** Opens a client of one cluster's API for one step of a test. */
import { createKubeClient, createTransport, type KubeClient, loadKubeAccess } from "@isthmus/kube";
import type { LabHandle } from "../life/handle.js";

export async function withClient<T>(
  lab: LabHandle,
  context: string,
  use: (client: KubeClient) => Promise<T>,
): Promise<T> {
  const transport = createTransport(loadKubeAccess({ kubeconfig: lab.kubeconfig, context }));
  try {
    return await use(createKubeClient(transport));
  } finally {
    transport.close();
  }
}
