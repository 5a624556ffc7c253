/**
 * The cluster of one node: a real Kubernetes API with the node and its pods, and the real apiserver, which serves the node's
 * agent. Started by node.ts with a channel: TLS-FOLDER POD-CIDR POD...
 */
import { installSettings, spawnApiserver, startBareCluster } from "@isthmus/apiserver/testing";
import { type KubeObject, type KubePod, NAMESPACES, NODES, PODS, SERVICE_ACCOUNTS } from "@isthmus/kube";
import { waitFor } from "@isthmus/runtime";
import { NODE, SERVER } from "../agent-process.js";
import { ADDRESS, type ClusterNotice } from "./cluster-notice.js";

/** Of the pods; calls.c names it too. */
const NAMESPACE = "bench";
const ADDRESSES = "mesh.isthmus.io/pod-ips";
const SETTLE_MS = 60_000;
let stopping = false;

const [tlsDir = "", podCidr = "", ...pods] = process.argv.slice(2);
const { kube, client } = await startBareCluster();
await installSettings(client, { "pod-cidrs": podCidr, servers: SERVER });
await makeNode();
const uids = await makePods();
const apiserver = await spawnApiserver(kube, { folder: tlsDir }, "bench-1", { listen: SERVER });
process.on("message", () => void settle());
for (const event of ["disconnect", "SIGTERM"]) process.once(event, () => void stop());
say({ uids });

async function makeNode(): Promise<void> {
  const spec = { podCIDR: podCidr, podCIDRs: [podCidr] };
  const labels = { "kubernetes.io/os": "linux" };
  await client.create(NODES, { metadata: { name: NODE, labels }, spec } as KubeObject);
  const status = { addresses: [{ type: "InternalIP", address: ADDRESS }] };
  await client.mergePatch(NODES, NODE, { status }, { subresource: "status" });
}

/** As a scheduler leaves them: on the node, without an address. */
async function makePods(): Promise<readonly string[]> {
  await client.create(NAMESPACES, { metadata: { name: NAMESPACE } });
  await client.apply(SERVICE_ACCOUNTS, { metadata: { namespace: NAMESPACE, name: "default" } }, { manager: "bench" });
  const uids: string[] = [];
  for (const name of pods) {
    const metadata = { namespace: NAMESPACE, name, labels: { app: "bench" } };
    const spec = { nodeName: NODE, containers: [{ name: "c", image: "i" }], automountServiceAccountToken: false };
    const made = await client.create<KubePod>(PODS, { metadata, spec } as unknown as KubePod);
    uids.push(made.metadata.uid ?? "");
  }
  return uids;
}

/** An agent that has deleted its pods says so after the plugin has answered. */
async function settle(): Promise<void> {
  const isGone = async () => {
    const all = await client.list<KubePod>(PODS, { namespace: NAMESPACE });
    return all.every(({ metadata }) => metadata.annotations?.[ADDRESSES] === undefined);
  };
  await waitFor("the pods to have no address", isGone, { timeoutMs: SETTLE_MS });
  say({ settled: true });
}

function say(notice: ClusterNotice): void {
  process.send?.(notice);
}

async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  await apiserver.stop();
  client.transport.close();
  await kube.stop();
  if (process.connected) process.disconnect();
}
