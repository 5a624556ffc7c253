/** Two clusters with real Kubernetes APIs, one real etcd with users: from a Service in east to an agent in west, and back. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import {
  ADMIN_AUDIENCE,
  type KubeObject,
  type KubePod,
  MESH_PEERS,
  type MeshPeer,
  NAMESPACES,
  PODS,
  type Resource,
  requestToken,
  SERVICE_ACCOUNTS,
} from "@isthmus/kube";
import { createStore, provisionStore } from "@isthmus/kvstore";
import { type EtcdServer, startEtcd } from "@isthmus/kvstore/testing";
import { AdminClient, Endpoint, Identity, type ListServicesResponse, type StatusResponse } from "@isthmus/proto";
import { until } from "@isthmus/testing";
import { connectAgent, type TestAgent } from "./testing/test-agent.js";
import { applyService, connectTestCluster, startTestCluster, type TestCluster } from "./testing/test-cluster.js";

const CLUSTER_ROLES: Resource = {
  group: "rbac.authorization.k8s.io",
  version: "v1",
  plural: "clusterroles",
  kind: "ClusterRole",
  namespaced: false,
};

let etcd: EtcdServer;
let east: TestCluster;
let west: TestCluster;

before(async () => {
  etcd = await startEtcd({ tls: true });
  const owner = createStore(await etcd.options("root"));
  await provisionStore(owner);
  owner.close();
  [east, west] = await Promise.all([startTestCluster("east", 1), startTestCluster("west", 2)]);
});

after(async () => {
  for (const each of [east, west]) await each?.stop();
  await etcd?.close();
});

const meshCluster = (of: TestCluster) => of.meshCluster();

const connect = (to: TestCluster, other: TestCluster) => connectTestCluster(etcd, to, other);

const service = applyService;

async function agentOf(of: TestCluster, node: string): Promise<TestAgent> {
  return connectAgent({ port: of.apiserver.port, node, tls: await of.tls.node(node) });
}

const global = { "service.cilium.io/global": "true" };

test("the apiserver creates its MeshCluster with a certificate request, and reports that there is no store", async () => {
  await until("MeshCluster of east", async () => (await meshCluster(east))?.status?.uid !== undefined);
  const cluster = await meshCluster(east);
  assert.deepEqual(cluster?.spec, { id: 1, podCIDRs: ["10.11.0.0/16"], serviceCIDRs: ["10.91.0.0/16"] });
  const condition = (type: string) => cluster?.status?.conditions?.find((each) => each.type === type);
  assert.equal(condition("StoreReachable")?.reason, "NoStore");
  assert.equal(condition("Ready")?.status, "True");
  assert.deepEqual(cluster?.status?.adminServers, ["127.0.0.1:7444"]);
  assert.match(cluster?.status?.labelFilterDigest ?? "", /^[0-9a-f]{32}$/);
});

test("after a connect without a restart west's agents hold exactly what east exports", async (t) => {
  await connect(east, west);
  await connect(west, east);
  await service(east, "cart", "10.11.1.5", global);
  await service(east, "private", "10.11.1.6", {});
  await service(east, "kept", "10.11.1.7", { ...global, "service.cilium.io/shared": "false" });
  const agent = await agentOf(west, "w1");
  t.after(() => agent.close());
  await until("east's cart in west", () => agent.value(1, "slices/shop/cart/cart-1") !== undefined, 30_000);
  await until("kept is known there", () => agent.value(1, "services/shop/kept") !== undefined);
  assert.equal(agent.value(1, "services/shop/private"), undefined);
  assert.equal(agent.value(1, "slices/shop/kept/kept-1"), undefined);
  await until("in sync", () => agent.source(1).inSync);
  await service(east, "cart", "10.11.1.5", { ...global, "service.cilium.io/shared": "false" });
  await until("withdrawn", () => agent.value(1, "slices/shop/cart/cart-1") === undefined);
  await service(east, "cart", "10.11.1.5", {});
  await until("not global any more", () => agent.value(1, "services/shop/cart") === undefined);
  await service(east, "cart", "10.11.1.5", global);
  await until("back", () => agent.value(1, "slices/shop/cart/cart-1") !== undefined);
  assert.equal(agent.source(1).broken, undefined);
});

/** Creates a pod on node n1 with this address in its status, as controllers and the kubelet would. */
async function makePod({ client }: TestCluster, namespace: string, name: string, address: string): Promise<void> {
  await client.apply(NAMESPACES, { metadata: { name: namespace } }, { manager: "pods" });
  await client.apply(SERVICE_ACCOUNTS, { metadata: { namespace, name: "default" } }, { manager: "test" });
  const spec = { nodeName: "n1", containers: [{ name: "c", image: "i" }], automountServiceAccountToken: false };
  const pod = { metadata: { namespace, name, labels: { app: name } }, spec } as unknown as KubePod;
  await client.create(PODS, pod);
  const status = { phase: "Running", podIP: address, podIPs: [{ ip: address }] };
  await client.mergePatch(PODS, name, { status }, { namespace, subresource: "status" });
}

test("the pods of a global namespace are known to the other cluster's agents by address and labels", async (t) => {
  const agents = await Promise.all([agentOf(east, "e1"), agentOf(west, "w1")]);
  t.after(() => {
    for (const agent of agents) agent.close();
  });
  const [own, other] = agents as [TestAgent, TestAgent];
  const annotations = { "clustermesh.cilium.io/global": "false" };
  await east.client.apply(NAMESPACES, { metadata: { name: "inner", annotations } }, { manager: "test" });
  await makePod(east, "inner", "secret", "10.11.1.9");
  await makePod(east, "shop", "web", "10.11.1.8");
  const appAt = (agent: TestAgent, cluster: number, address: string) => {
    const endpoint = agent.value(cluster, `endpoints/${address}`);
    if (endpoint === undefined) return undefined;
    const { identity, pod } = Endpoint.decode(endpoint);
    const labels = agent.value(cluster, `identities/${identity}`);
    assert.ok(labels !== undefined, "an endpoint has its identity at any time");
    return `${pod} ${Identity.decode(labels).labels.find(({ key }) => key === "app")?.value}`;
  };
  for (const name of ["secret", "web"])
    await until(
      `${name} in east`,
      () => appAt(own, 0, name === "web" ? "10.11.1.8" : "10.11.1.9") === `${name} ${name}`,
    );
  await until("web in west", () => appAt(other, 1, "10.11.1.8") === "web web");
  await until("both are in sync", () => own.source(0).inSync && other.source(1).inSync);
  assert.equal(appAt(other, 1, "10.11.1.9"), undefined);
  assert.equal(other.keys(1).filter((key) => key.startsWith("identities/")).length, 1);
  await east.client.mergePatch(PODS, "web", { metadata: { labels: { app: "db" } } }, { namespace: "shop" });
  await until("its new labels in west", () => appAt(other, 1, "10.11.1.8") === "web db");
  await east.client.mergePatch(
    PODS,
    "web",
    { status: { phase: "Succeeded" } },
    { namespace: "shop", subresource: "status" },
  );
  await until("a finished pod is nobody", () => other.value(1, "endpoints/10.11.1.8") === undefined);
});

test("MeshCluster and MeshPeer report the state", async () => {
  const condition = async (type: string) =>
    (await meshCluster(east))?.status?.conditions?.find((each) => each.type === type)?.status === "True";
  await until("published", () => condition("Published"), 20_000);
  await until("reachable", () => condition("StoreReachable"));
  const peer = async () => (await west.client.get<MeshPeer>(MESH_PEERS, "east"))?.status;
  await until("peer in sync", async () => (await peer())?.state === "InSync", 20_000);
  assert.match((await peer())?.storeId ?? "", /^[0-9a-f]{32}$/);
});

async function admin<T>(
  of: TestCluster,
  token: string,
  call: (client: AdminClient, metadata: Metadata, done: (error: ServiceError | null, answer: T) => void) => unknown,
): Promise<T> {
  const client = new AdminClient(`127.0.0.1:${of.apiserver.adminPort}`, credentials.createSsl(Buffer.from(of.tls.ca)));
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  try {
    return await new Promise<T>((resolve, reject) =>
      call(client, metadata, (error, answer) => (error === null ? resolve(answer) : reject(error))),
    );
  } finally {
    client.close();
  }
}

test("the admin API answers callers that may get MeshClusters, and refuses others", async () => {
  await west.client.create(SERVICE_ACCOUNTS, { metadata: { namespace: "mesh-system", name: "mesh-cli" } });
  const { token } = await requestToken(west.client, "mesh-system", "mesh-cli", 600, [ADMIN_AUDIENCE]);
  const status = (with_: string) =>
    admin<StatusResponse>(west, with_, (client, metadata, done) => client.status({ figures: false }, metadata, done));
  await assert.rejects(status("nonsense"), { code: 16 });
  await assert.rejects(status(token), { code: 7 });
  await west.client.create(CLUSTER_ROLES, {
    metadata: { name: "mesh-cli" },
    rules: [{ apiGroups: ["mesh.isthmus.io"], resources: ["meshclusters"], verbs: ["get"] }],
  } as unknown as KubeObject);
  await west.client.create({ ...CLUSTER_ROLES, plural: "clusterrolebindings", kind: "ClusterRoleBinding" }, {
    metadata: { name: "mesh-cli" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "mesh-cli" },
    subjects: [{ kind: "ServiceAccount", namespace: "mesh-system", name: "mesh-cli" }],
  } as unknown as KubeObject);
  await until("permitted", () =>
    status(token).then(
      () => true,
      () => false,
    ),
  );
  const report = await status(token);
  assert.equal(report.cluster, "west");
  assert.equal(report.publisher?.state, "Live");
  assert.deepEqual(
    report.sources.map(({ cluster, state }) => [cluster, state]),
    [["east", "InSync"]],
  );

  await service(west, "cart", "10.12.1.5", { ...global, "service.cilium.io/affinity": "local" });
  const list = () =>
    admin<ListServicesResponse>(west, token, (client, metadata, done) =>
      client.listServices({ namespace: "shop", globalOnly: true }, metadata, done),
    );
  await until("both clusters in the list", async () => (await list()).frontends[0]?.tiers.length === 2);
  const [cart] = (await list()).frontends;
  assert.equal(cart?.service, "shop/cart");
  assert.equal(cart?.status, "Merged", "there is no Node that could apply it");
  assert.deepEqual(
    cart?.tiers.map(({ active, clusters }) => [active, clusters.map(({ cluster, ready }) => `${cluster} ${ready}`)]),
    [
      [true, ["west 1"]],
      [false, ["east 1"]],
    ],
  );
});

test("without the store a local change still reaches agents, and the remote cluster's records stay", async (t) => {
  const agent = await agentOf(west, "w2");
  t.after(() => agent.close());
  await until("both sources", () => agent.source(0).inSync && agent.source(1).inSync, 20_000);
  await etcd.stop();
  await service(west, "local", "10.12.1.9", {});
  await until("the local change", () => agent.value(0, "slices/shop/local/local-1") !== undefined);
  assert.notEqual(agent.value(1, "slices/shop/cart/cart-1"), undefined);
  await etcd.start();
  await service(east, "cart", "10.11.1.99", global);
  await until(
    "and after its return east's change comes",
    () => Buffer.from(agent.value(1, "slices/shop/cart/cart-1") ?? []).includes(Buffer.from([10, 11, 1, 99])),
    30_000,
  );
});

test("a peer that the operator removes is removed from the agents", async (t) => {
  const agent = await agentOf(west, "w3");
  t.after(() => agent.close());
  await until("east is there", () => agent.keys(1).length > 0, 20_000);
  await west.client.delete(MESH_PEERS, "east");
  await until("removed", () => agent.states.some(({ clusterId, status }) => clusterId === 1 && status === 5));
});
