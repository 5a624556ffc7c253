/** Events and conditions on a global Service in each of two real clusters over one real etcd, also after restarts. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  ENDPOINT_SLICES,
  EVENTS,
  type KubeObject,
  type KubeService,
  MESH_PEERS,
  type MeshCondition,
  type MeshPeer,
  SERVICES,
} from "@isthmus/kube";
import { createStore, provisionStore } from "@isthmus/kvstore";
import { type EtcdServer, startEtcd } from "@isthmus/kvstore/testing";
import { formatAddress } from "@isthmus/model";
import { Slice } from "@isthmus/proto";
import { until } from "@isthmus/testing";
import { startApiserver } from "./testing/run-apiserver.js";
import { connectAgent } from "./testing/test-agent.js";
import { makeStoreUser, setStore, startTestCluster, storeSpec, type TestCluster } from "./testing/test-cluster.js";

const namespace = "shop";
const GLOBAL = { "service.cilium.io/global": "true" };
const PORTS = "mesh.isthmus.io/PortsMatched";
const SERVED = "mesh.isthmus.io/ServedAsWritten";
const EXPORTED = "mesh.isthmus.io/BackendsExported";

let etcd: EtcdServer;
let east: TestCluster;
let west: TestCluster;

before(async () => {
  etcd = await startEtcd({ tls: true });
  const owner = createStore(await etcd.options("root"));
  await provisionStore(owner);
  owner.close();
  [east, west] = await Promise.all([startTestCluster("east", 1), startTestCluster("west", 2)]);
  await join(east, west);
  await join(west, east);
});

after(async () => {
  for (const each of [east, west]) await each?.stop();
  await etcd?.close();
});

async function join(member: TestCluster, other: TestCluster): Promise<void> {
  const store = await storeSpec(member, etcd);
  await until("the other's uid", async () => (await other.meshCluster())?.status?.uid !== undefined);
  const peer = await other.meshCluster();
  assert.ok(peer !== undefined);
  await makeStoreUser(etcd, member);
  await setStore(member, store);
  const { id, podCIDRs, serviceCIDRs } = peer.spec;
  const spec = { id, podCIDRs, serviceCIDRs, uid: peer.status?.uid ?? "" };
  await member.client.create<MeshPeer>(MESH_PEERS, { metadata: { name: other.name }, spec });
}

async function service(
  of: TestCluster,
  name: string,
  port: string,
  annotations: Record<string, string>,
): Promise<void> {
  const spec = { ports: [{ name: port, port: 80 }] };
  const object = { metadata: { namespace, name, annotations }, spec } as KubeObject;
  await of.client.apply(SERVICES, object, { manager: "user", force: true });
}

async function condition(of: TestCluster, name: string, type: string): Promise<MeshCondition | undefined> {
  const found = await of.client.get<KubeService>(SERVICES, name, { namespace });
  return found?.status?.conditions?.find((each) => each.type === type);
}

async function events(of: TestCluster, reason: string): Promise<readonly string[]> {
  type Event = KubeObject & { readonly reason?: string; readonly note?: string };
  const all = await of.client.list<Event>(EVENTS, { namespace });
  return all.filter((event) => event.reason === reason).map(({ note = "" }) => note);
}

test("ports that do not match are reported by a condition and an Event in both clusters, until they match", async () => {
  await service(east, "cart", "http", GLOBAL);
  await service(west, "cart", "web", GLOBAL);
  await until("the condition in east", async () => (await condition(east, "cart", PORTS))?.status === "False", 30_000);
  await until("the condition in west", async () => (await condition(west, "cart", PORTS))?.status === "False", 30_000);
  const { message = "" } = (await condition(east, "cart", PORTS)) ?? {};
  assert.match(message, /^Cannot use cluster "west" for port "http"\/TCP: its Service has "web"\/TCP/);
  await until("in an Event, too", async () => (await events(east, "PortMismatch")).join() === message);
  const metric = async (type: string) =>
    new RegExp(`^mesh_service_conditions{type="${type}"} (\\d+)$`, "m").exec(
      (await east.apiserver.get("/metrics")).body,
    )?.[1];
  await until("and in a metric", async () => (await metric(PORTS)) === "1");
  assert.equal(await metric(EXPORTED), "0");
  await service(west, "cart", "http", GLOBAL);
  await until("healed in east", async () => (await condition(east, "cart", PORTS)) === undefined);
  await until("healed in west", async () => (await condition(west, "cart", PORTS)) === undefined);
});

test("a Service that is no longer global has no such condition", async () => {
  await service(west, "cart", "web", GLOBAL);
  await until("the condition in east", async () => (await condition(east, "cart", PORTS)) !== undefined);
  await service(east, "cart", "http", {});
  await until("east is silent", async () => (await condition(east, "cart", PORTS)) === undefined);
  await service(east, "cart", "http", GLOBAL);
  await until("the condition in east again", async () => (await condition(east, "cart", PORTS)) !== undefined);
});

test("a condition whose cause ended during a downtime is removed once the remote cluster is in sync", async () => {
  await east.apiserver.stop();
  await service(west, "cart", "http", GLOBAL);
  await until("healed in west", async () => (await condition(west, "cart", PORTS)) === undefined);
  await etcd.stop();
  east.apiserver = await startApiserver(east.kube, east.tls, { instance: "test-2" });
  await service(east, "other", "http", { "service.cilium.io/global": "yes" });
  const accepted = () => condition(east, "other", "mesh.isthmus.io/AnnotationsAccepted");
  await until("it tells what it knows by itself", async () => (await accepted()) !== undefined);
  assert.notEqual(await condition(east, "cart", PORTS), undefined);
  await etcd.start();
  await until("mended", async () => (await condition(east, "cart", PORTS)) === undefined, 30_000);
});

test("a peer that the operator removes is not reported as unusable", async () => {
  await service(west, "cart", "web", GLOBAL);
  await until("the condition in east", async () => (await condition(east, "cart", PORTS)) !== undefined, 30_000);
  const peer = await east.client.get<MeshPeer>(MESH_PEERS, "west");
  assert.ok(peer !== undefined);
  await east.client.delete(MESH_PEERS, "west");
  await until("mended", async () => (await condition(east, "cart", PORTS)) === undefined);
  await east.client.create<MeshPeer>(MESH_PEERS, { metadata: { name: "west" }, spec: peer.spec });
  await until("followed again", async () => (await condition(east, "cart", PORTS)) !== undefined, 30_000);
});

test("unserved node ports are a condition and one Event, also over a restart; neither for a Service of another proxy", async () => {
  type Event = KubeObject & {
    readonly regarding?: { readonly name?: string };
    readonly reason?: string;
    readonly series?: object;
  };
  // The API server itself writes Events on Services, for example when it repairs an allocation.
  const eventsOn = async (name: string) =>
    (await east.client.list<Event>(EVENTS, { namespace })).filter(
      ({ regarding, reason }) => regarding?.name === name && reason === "NotServedAsWritten",
    );
  const ported = async (name: string) => {
    const object = { metadata: { namespace, name }, spec: { type: "NodePort", ports: [{ name: "http", port: 80 }] } };
    await east.client.apply(SERVICES, object as KubeObject, { manager: "user", force: true });
    await until("a condition", async () => (await condition(east, name, SERVED))?.status === "False");
    await until("an Event", async () => (await eventsOn(name)).length === 1);
  };
  await ported("before");
  const said = (await condition(east, "before", SERVED))?.message ?? "";
  assert.match(said, /^nodePort "\d+\/TCP" is not served yet/);
  await east.apiserver.stop();
  east.apiserver = await startApiserver(east.kube, east.tls, { instance: "test-3" });
  await ported("after");
  assert.equal((await eventsOn("before"))[0]?.series, undefined, "not reported again");
  const labels = { "service.kubernetes.io/service-proxy-name": "other" };
  await east.client.mergePatch(SERVICES, "before", { metadata: { labels } }, { namespace });
  await until("it is the other proxy's affair", async () => (await condition(east, "before", SERVED)) === undefined);
  assert.match((await east.apiserver.get("/metrics")).body, /^mesh_services_left 1$/m);
});

test("a slice with a host network backend is exported with its pods, and the exporter's user gets a report", async (t) => {
  const slice = (...addresses: readonly string[]) =>
    west.client.apply(
      ENDPOINT_SLICES,
      {
        metadata: { namespace, name: "mixed-1", labels: { "kubernetes.io/service-name": "mixed" } },
        addressType: "IPv4",
        ports: [{ name: "http", port: 8080, protocol: "TCP" }],
        endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
      } as KubeObject,
      { manager: "user", force: true },
    );
  await service(west, "mixed", "http", GLOBAL);
  await slice("10.12.1.5", "172.18.0.7");
  const agent = connectAgent({ port: east.apiserver.port, node: "e1", tls: await east.tls.node("e1") });
  t.after(() => agent.close());
  const held = () => {
    const value = agent.value(2, "slices/shop/mixed/mixed-1");
    return (
      value &&
      Slice.decode(value)
        .backends.map(({ address }) => formatAddress(address))
        .join()
    );
  };
  await until("east has the pod alone", () => held() === "10.12.1.5", 30_000);
  await until("the condition in west", async () => (await condition(west, "mixed", EXPORTED))?.status === "False");
  await until("in an Event, too", async () => (await events(west, "BackendsNotExported")).length === 1);
  assert.match(
    (await events(west, "BackendsNotExported"))[0] ?? "",
    /^Cannot export 1 of its backends: "172.18.0.7" is outside this cluster's pod ranges "10.12.0.0\/16"/,
  );
  await slice("172.18.0.7");
  await until("east has none", () => held() === "");
  await slice("10.12.1.5");
  await until("all is exported", () => held() === "10.12.1.5");
  await until("the condition is removed", async () => (await condition(west, "mixed", EXPORTED)) === undefined);
});
