/** A control plane's routes to its pods: the ranges that the controller manager assigned to the nodes. */
import { list, text } from "../api/json.js";
import type { KubeApi } from "../api/kube-api.js";

/** Pod range → node address, for every node that has both. */
export async function readPodRoutes(api: KubeApi): Promise<Map<string, string>> {
  const nodes = await api.get("/api/v1/nodes");
  const routes = new Map<string, string>();
  for (const node of list(nodes, "items")) {
    const cidr = text(node, "spec", "podCIDR");
    const internal = list(node, "status", "addresses").find((address) => text(address, "type") === "InternalIP");
    const address = text(internal, "address");
    if (cidr !== "" && address !== "") routes.set(cidr, address);
  }
  return routes;
}
