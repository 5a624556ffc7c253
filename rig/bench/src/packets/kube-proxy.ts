/**
 * The rules of the real kube-proxy on the nodes of networks, each in one mode, for a Service of each server.
 *
 * kube-proxy reads Services from a real kube-apiserver on loopback, which a relay makes reachable in each node. All of them
 * end before anything is measured; the rules stay.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createKubeClient, createTransport, ENDPOINT_SLICES, loadKubeAccess, NODES, SERVICES } from "@isthmus/kube";
import { type KubeServer, startKubeServer } from "@isthmus/kube/testing";
import { type ProxyMode, startKubeProxy } from "@isthmus/lab/testing";
import { type Later, undoing } from "../undoing.js";
import { CLUSTER_IPS, type Network, type NetworkNode, PATHS, PORT, SERVERS } from "./network.js";
import { loopback, startRelay } from "./relay.js";

const RELAY = fileURLToPath(new URL("./relay-main.js", import.meta.url));
const NAMESPACE = "default";
/** Of all pods, and of no ClusterIP. */
const POD_CIDR = "10.0.0.0/14";

export async function addKubeProxies(networks: ReadonlyMap<ProxyMode, Network>): Promise<void> {
  await undoing(async (later) => {
    const server = await startKubeServer();
    later(() => server.stop());
    const socket = join(server.folder, "relay.sock");
    const relay = await startRelay({ path: socket }, loopback(server.port));
    later(() => void relay.close());
    const places = [...networks].flatMap(([mode, { nodes }]) => nodes.map((node) => ({ mode, node })));
    const [first] = networks.values();
    await createObjects(server, first?.nodes ?? []);
    await Promise.all(places.map(({ mode, node }) => addKubeProxy(server, socket, mode, node, later)));
  });
}

/** The nodes, which have the same names in every network; and a Service for each server. */
async function createObjects(server: KubeServer, nodes: readonly NetworkNode[]): Promise<void> {
  const client = createKubeClient(createTransport(loadKubeAccess({ kubeconfig: server.kubeconfig })));
  try {
    for (const { name, address } of nodes) {
      const status = { addresses: [{ type: "InternalIP", address }] };
      await client.create(NODES, { metadata: { name }, status });
    }
    for (const path of PATHS) {
      const metadata = { name: path, namespace: NAMESPACE };
      const spec = { clusterIP: CLUSTER_IPS[path], ports: [{ port: PORT }] };
      await client.create(SERVICES, { metadata, spec });
      await client.create(ENDPOINT_SLICES, {
        metadata: { ...metadata, labels: { "kubernetes.io/service-name": path } },
        addressType: "IPv4",
        endpoints: [{ addresses: [SERVERS[path]], conditions: { ready: true } }],
        ports: [{ name: "", port: PORT, protocol: "TCP" }],
      });
    }
  } finally {
    client.transport.close();
  }
}

/** Runs kube-proxy until its rules are there. */
async function addKubeProxy(
  { kubeconfig, port }: KubeServer,
  socket: string,
  mode: ProxyMode,
  { name, netns: namespace }: NetworkNode,
  later: Later,
): Promise<void> {
  const netns = `/run/netns/${namespace}`;
  const relay = spawn("nsenter", [`--net=${netns}`, process.execPath, RELAY, String(port), socket], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(relay, "exit");
  later(async () => {
    relay.kill();
    await ended;
  });
  await Promise.race([once(relay.stdout, "data"), ended]);
  const proxy = await startKubeProxy({ mode, netns, node: name, podCidr: POD_CIDR, kubeconfig });
  await proxy.end();
}
