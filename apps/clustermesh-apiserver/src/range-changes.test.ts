/** Ranges of mesh-config change while the apiserver runs: exports, peers' claims, nodes, the store and MeshCluster follow. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type KubeService, MESH_PEERS, type MeshPeer, NODES, SERVICES } from "@isthmus/kube";
import { createStore, provisionStore, type Store } from "@isthmus/kvstore";
import { type EtcdServer, startEtcd } from "@isthmus/kvstore/testing";
import { formatPrefix, type Prefix } from "@isthmus/model";
import { ClusterConfig, NodeConfig, ServiceConfig, Slice } from "@isthmus/proto";
import { until } from "@isthmus/testing";
import { connectAgent, type TestAgent } from "./testing/test-agent.js";
import {
  applyService,
  connectTestCluster,
  patchConfig,
  startTestCluster,
  type TestCluster,
} from "./testing/test-cluster.js";

let etcd: EtcdServer;
let owner: Store;
let east: TestCluster;
let west: TestCluster;
let eastern: TestAgent;
let western: TestAgent;

const global = { "service.cilium.io/global": "true" };
const agentOf = async (of: TestCluster, node: string) =>
  connectAgent({ port: of.apiserver.port, node, tls: await of.tls.node(node) });

before(async () => {
  etcd = await startEtcd({ tls: true });
  owner = createStore(await etcd.options("root"));
  await provisionStore(owner);
  [east, west] = await Promise.all([startTestCluster("east", 1), startTestCluster("west", 2)]);
  await east.client.create(NODES, { metadata: { name: "n1" } });
  // The range that east lets west claim overlaps east's own range, which takes precedence.
  await connectTestCluster(etcd, east, west, ["10.12.0.0/16", "10.11.128.0/17"]);
  await connectTestCluster(etcd, west, east, ["10.11.0.0/17", "10.21.0.0/16"]);
  [eastern, western] = await Promise.all([agentOf(east, "n1"), agentOf(west, "w1")]);
});
after(async () => {
  eastern?.close();
  western?.close();
  for (const each of [east, west]) await each?.stop();
  owner?.close();
  await etcd?.close();
});

const texts = (prefixes: readonly { readonly address: Uint8Array; readonly length: number }[]) =>
  prefixes.map((prefix) => formatPrefix(prefix as Prefix));
const published = async () => {
  const value = (await owner.get("/mesh/v1/c/east/config")).entry?.value;
  const { podCidrs, serviceCidrs } = ClusterConfig.decode(value ?? new Uint8Array());
  return [texts(podCidrs), texts(serviceCidrs)].join(" ");
};
const exportsOf = (service: string) => {
  const value = western.value(1, `slices/shop/${service}/${service}-1`);
  return value && Slice.decode(value).backends.length;
};
const condition = async (service: string) =>
  (await east.client.get<KubeService>(SERVICES, service, { namespace: "shop" }))?.status?.conditions?.find(
    ({ type }) => type === "mesh.isthmus.io/BackendsExported",
  )?.message;

test("an added pod range applies at once to exports, the store and the MeshCluster", async () => {
  await applyService(east, "cart", "10.21.1.5", global);
  await until("cart's slice is there without the backend", () => exportsOf("cart") === 0);
  await until("why", async () => /outside this cluster's pod ranges/.test((await condition("cart")) ?? ""));
  await patchConfig(east, { "pod-cidrs": "10.11.0.0/16,10.21.0.0/16" });
  await until("the backend is exported", () => exportsOf("cart") === 1);
  await until("nothing to complain about", async () => (await condition("cart")) === undefined);
  await until("the store", async () => (await published()) === "10.11.0.0/16,10.21.0.0/16 10.91.0.0/16");
  const spec = async () => (await east.meshCluster())?.spec.podCIDRs.join();
  await until("the object", async () => (await spec()) === "10.11.0.0/16,10.21.0.0/16");
});

test("a removed range may be claimed by the peer whose MeshPeer allows it", async () => {
  await applyService(west, "shop", "10.11.200.7", global);
  const key = "slices/shop/shop/shop-1";
  // West does not export the address: it is outside west's ranges.
  await until("west's slice", () => eastern.value(2, key) !== undefined);
  await patchConfig(west, { "pod-cidrs": "10.12.0.0/16,10.11.128.0/17" });
  const refused = async () => (await east.client.get<MeshPeer>(MESH_PEERS, "west"))?.status?.state;
  await until("east does not take east's own address from west", () => eastern.value(2, key) === undefined);
  assert.equal(await refused(), "InSync");
  await patchConfig(east, { "pod-cidrs": "10.11.0.0/17,10.21.0.0/16" });
  await until("now it is west's", () => eastern.value(2, key) !== undefined);
  assert.equal(Slice.decode(eastern.value(2, key) ?? new Uint8Array()).backends.length, 1);
});

test("removing a range in use removes its backends from the exports, which is reported on the Service", async () => {
  await patchConfig(east, { "pod-cidrs": "10.11.0.0/17" });
  await until("withdrawn", () => exportsOf("cart") === 0);
  await until("why", async () =>
    /Cannot export any .*outside .* "10\.11\.0\.0\/17"/.test((await condition("cart")) ?? ""),
  );
  assert.equal(Slice.decode(eastern.value(0, "slices/shop/cart/cart-1") ?? new Uint8Array()).backends.length, 1);
  await until("the store", async () => (await published()) === "10.11.0.0/17 10.91.0.0/16");
});

test("a changed rescue-after of the cluster reaches the agents of this cluster, and an invalid one changes nothing", async () => {
  const rescue = (agent: TestAgent, service: string) => {
    const { noRescue, rescueAfterMs } = ServiceConfig.decode(
      agent.value(0, `service-configs/shop/${service}`) ?? new Uint8Array(),
    );
    return noRescue ? "off" : rescueAfterMs;
  };
  await applyService(east, "own", "10.11.1.9", { "mesh.isthmus.io/rescue-after": "300ms" });
  await applyService(west, "cart", "10.12.1.5", global);
  await until("the Service's own", () => rescue(eastern, "own") === 300);
  await patchConfig(east, { "rescue-after": "off" });
  await until("the cluster's", () => rescue(eastern, "cart") === "off");
  await patchConfig(east, { "rescue-after": "fast" });
  const accepted = async () => (await east.condition("ConfigAccepted"))?.message ?? "";
  await until("the condition", async () => /"rescue-after" is "fast".*write it like "250ms"/.test(await accepted()));
  assert.equal(rescue(eastern, "cart"), "off");
  await patchConfig(east, { "rescue-after": "1s" });
  await until("another one", () => rescue(eastern, "cart") === 1000);
  assert.equal(rescue(eastern, "own"), 300);
  assert.equal(rescue(western, "cart"), 0);
  await patchConfig(east, { "rescue-after": null });
  await until("the default", () => rescue(eastern, "cart") === 0);
});

test("changed Service ranges reach the nodes, the store and the MeshCluster", async () => {
  await patchConfig(east, { "service-cidrs": "10.91.0.0/17" });
  const node = () => texts(NodeConfig.decode(eastern.value(0, "node-configs/n1") ?? new Uint8Array()).serviceCidrs);
  await until("the node", () => node().join() === "10.91.0.0/17");
  await until("the store", async () => (await published()) === "10.11.0.0/17 10.91.0.0/17");
  await until("the object", async () => (await east.meshCluster())?.spec.serviceCIDRs.join() === "10.91.0.0/17");
});
