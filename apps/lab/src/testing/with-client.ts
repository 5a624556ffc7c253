/** One cluster's API, for as long as a step of a test takes. */
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
