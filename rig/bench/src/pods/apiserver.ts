/** An apiserver as a process, which serves the agent of one node. Started by node.ts: TLS-FOLDER POD-CIDR. */
import { createSyntheticCluster } from "@isthmus/apiserver";
import type { KubeNode } from "@isthmus/kube";
import { createStore } from "@isthmus/kvstore";
import { parseClusterId, parseClusterName, parsePrefix } from "@isthmus/model";
import { NODE, SERVER } from "../agent-process.js";

const [tlsDir = "", podCidr = ""] = process.argv.slice(2);
const node: KubeNode = {
  metadata: { name: NODE, uid: NODE, labels: { "kubernetes.io/os": "linux" } },
  spec: { podCIDR: podCidr, podCIDRs: [podCidr] },
  status: { addresses: [{ type: "InternalIP", address: "172.18.0.1" }] },
};
const cluster = createSyntheticCluster({
  cluster: parseClusterName("solo"),
  id: parseClusterId(1),
  podCidrs: [parsePrefix(podCidr)],
  serviceCidrs: [parsePrefix("10.96.0.0/16")],
});
cluster.feed({ nodes: [node] });
// Without peers nothing is read from the store.
const store = createStore({ endpoints: ["http://127.0.0.1:2379"] });
await cluster.serve(store, [], tlsDir, SERVER, new AbortController().signal);
