/** A cluster of a mesh for tests: a real Kubernetes API with the CRDs and settings of Isthmus, and functions that join it to a store. */
import assert from "node:assert/strict";
import {
  CONFIG_MAPS,
  ENDPOINT_SLICES,
  type KubeClient,
  type KubeObject,
  MESH_CLUSTERS,
  MESH_PEERS,
  type MeshCluster,
  type MeshCondition,
  type MeshPeer,
  NAMESPACES,
  SERVICES,
  type StoreSpec,
} from "@isthmus/kube";
import { type KubeServer, startKubeServer } from "@isthmus/kube/testing";
import { createStore, provisionCluster } from "@isthmus/kvstore";
import type { EtcdServer } from "@isthmus/kvstore/testing";
import { parseClusterId, parseClusterName } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { signRequest } from "@isthmus/pki";
import { until } from "@isthmus/testing";
import { createMeshTls, type MeshTls } from "./mesh-tls.js";
import { installCrd, installSettings, kubeClient, type RunningApiserver, startApiserver } from "./run-apiserver.js";

export interface TestCluster {
  readonly name: string;
  readonly id: number;
  readonly kube: KubeServer;
  readonly client: KubeClient;
  readonly tls: MeshTls;
  apiserver: RunningApiserver;
  meshCluster(): Promise<MeshCluster | undefined>;
  condition(type: MeshCondition["type"]): Promise<MeshCondition | undefined>;
  stop(): Promise<void>;
}

/** A Kubernetes API with the CRDs of Isthmus and namespace "shop", without settings. */
export async function startBareCluster(): Promise<{ readonly kube: KubeServer; readonly client: KubeClient }> {
  const kube = await startKubeServer();
  const client = kubeClient(kube.kubeconfig);
  for (const plural of ["meshclusters", "meshpeers"]) await installCrd(client, plural);
  for (const name of ["mesh-system", "shop"]) await client.create(NAMESPACES, { metadata: { name } });
  return { kube, client };
}

/** Pod CIDR 10.1<id>.0.0/16, Service CIDR 10.9<id>.0.0/16; namespace "shop" exists. */
export async function startTestCluster(name: string, id: number, log?: Logger): Promise<TestCluster> {
  const { kube, client } = await startBareCluster();
  await installSettings(client, {
    "cluster-name": name,
    "cluster-id": String(id),
    "pod-cidrs": `10.1${id}.0.0/16`,
    "service-cidrs": `10.9${id}.0.0/16`,
    "admin-servers": "127.0.0.1:7444",
  });
  const tls = await createMeshTls();
  const meshCluster = () => client.get<MeshCluster>(MESH_CLUSTERS, name);
  const made: TestCluster = {
    name,
    id,
    kube,
    client,
    tls,
    apiserver: await startApiserver(kube, tls, log === undefined ? {} : { log }),
    meshCluster,
    condition: async (type) => (await meshCluster())?.status?.conditions?.find((each) => each.type === type),
    async stop() {
      await made.apiserver.stop();
      client.transport.close();
      tls.remove();
      await kube.stop();
    },
  };
  return made;
}

/** Signs a cluster's certificate request with the store's CA, as `mesh connect` does. */
export async function storeSpec(member: TestCluster, etcd: EtcdServer, days = 365): Promise<StoreSpec> {
  await until(
    "the cluster has a storeRequest",
    async () => (await member.meshCluster())?.status?.storeRequest !== undefined,
  );
  const request = (await member.meshCluster())?.status?.storeRequest ?? "";
  assert.ok(etcd.authority !== undefined);
  const certificate = await signRequest(etcd.authority, request, {
    cn: member.name,
    usages: ["client"],
    days,
  });
  return { endpoints: [`https://localhost:${etcd.port}`], ca: etcd.authority.certificate, certificate };
}

/** Creates the store's user of a cluster, as `mesh connect` does. */
export async function makeStoreUser(etcd: EtcdServer, { name, id }: Pick<TestCluster, "name" | "id">): Promise<void> {
  const owner = createStore(await etcd.options("root"));
  await provisionCluster(owner, parseClusterName(name), parseClusterId(id)).finally(() => owner.close());
}

export async function setStore({ client, name }: TestCluster, store: StoreSpec): Promise<void> {
  await client.mergePatch(MESH_CLUSTERS, name, { spec: { store } });
}

/** Connects clusters as `mesh connect` does: signs the request, creates the user, writes store and peer. `podCidrs`: what the peer may claim. */
export async function connectTestCluster(
  etcd: EtcdServer,
  to: TestCluster,
  other: TestCluster,
  podCidrs?: readonly string[],
): Promise<void> {
  const store = await storeSpec(to, etcd);
  await until("the other cluster has a uid", async () => (await other.meshCluster())?.status?.uid !== undefined);
  const peer = await other.meshCluster();
  assert.ok(peer !== undefined);
  await makeStoreUser(etcd, to);
  await setStore(to, store);
  const { id, podCIDRs, serviceCIDRs } = peer.spec;
  const spec = { id, podCIDRs: podCidrs ?? podCIDRs, serviceCIDRs, uid: peer.status?.uid ?? "" };
  await to.client.create<MeshPeer>(MESH_PEERS, { metadata: { name: other.name }, spec });
}

/** Changes fields of the member's mesh-config; null removes one. */
export async function patchConfig(
  { client }: Pick<TestCluster, "client">,
  data: Record<string, string | null>,
): Promise<void> {
  await client.mergePatch(CONFIG_MAPS, "mesh-config", { data }, { namespace: "mesh-system" });
}

/** A Service of namespace "shop" with one ready backend. */
export async function applyService(
  { client }: Pick<TestCluster, "client">,
  name: string,
  address: string,
  annotations: Record<string, string>,
): Promise<void> {
  const manager = { manager: "test", force: true };
  await client.apply(
    SERVICES,
    {
      metadata: { namespace: "shop", name, annotations },
      spec: { ports: [{ name: "http", port: 80, targetPort: 8080 }] },
    } as KubeObject,
    manager,
  );
  await client.apply(
    ENDPOINT_SLICES,
    {
      metadata: { namespace: "shop", name: `${name}-1`, labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      ports: [{ name: "http", port: 8080, protocol: "TCP" }],
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
    } as KubeObject,
    manager,
  );
}
