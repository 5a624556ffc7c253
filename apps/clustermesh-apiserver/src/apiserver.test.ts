/** The whole path: changes in a real Kubernetes API to batches at an agent. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  CONFIG_MAPS,
  ENDPOINT_SLICES,
  type KubeClient,
  type KubeObject,
  NAMESPACES,
  NODES,
  SERVICES,
} from "@isthmus/kube";
import { type KubeServer, startKubeServer } from "@isthmus/kube/testing";
import { formatAddress } from "@isthmus/model";
import { NodeConfig, PeerState, type Position, Service, ServiceConfig, Slice } from "@isthmus/proto";
import { until } from "@isthmus/testing";
import { createMeshTls, type MeshTls } from "./testing/mesh-tls.js";
import { installSettings, kubeClient, type RunningApiserver, startApiserver } from "./testing/run-apiserver.js";
import { connectAgent, type TestAgent, type TestAgentOptions } from "./testing/test-agent.js";

let kube: KubeServer;
let client: KubeClient;
let tls: MeshTls;
let apiserver: RunningApiserver;

before(async () => {
  kube = await startKubeServer();
  client = kubeClient(kube.kubeconfig);
  tls = await createMeshTls();
  await installSettings(client);
  await client.create(NAMESPACES, { metadata: { name: "shop" } });
  apiserver = await startApiserver(kube, tls);
});

after(async () => {
  await apiserver?.stop();
  client?.transport.close();
  tls?.remove();
  await kube?.stop();
});

async function agentOf(node: string, options: Partial<TestAgentOptions> = {}) {
  const agent = connectAgent({ port: apiserver.port, node, tls: await tls.node(node), ...options });
  await until(`agent ${node} is in sync`, () => agent.source(0).inSync || agent.ended || agent.goAway !== undefined);
  return agent;
}

const cart = (annotations: Record<string, string> = {}): KubeObject =>
  ({
    metadata: { namespace: "shop", name: "cart", annotations },
    spec: { selector: { app: "cart" }, ports: [{ name: "http", port: 80, targetPort: 8080 }] },
  }) as KubeObject;

const slice = (name: string, addresses: readonly string[]): KubeObject =>
  ({
    metadata: { namespace: "shop", name, labels: { "kubernetes.io/service-name": "cart" } },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
  }) as KubeObject;

const apply = (resource: typeof SERVICES, object: KubeObject) =>
  client.apply(resource, object, { manager: "test", force: true });

function backends(agent: TestAgent, key: string): string[] {
  const value = agent.value(0, key);
  return value === undefined ? [] : Slice.decode(value).backends.map(({ address }) => formatAddress(address));
}

describe("the local path", () => {
  test("an agent gets every ClusterIP Service, default/kubernetes included, then what changes", async (t) => {
    const agent = await agentOf("n1");
    t.after(() => agent.close());
    assert.equal(agent.welcome?.cluster, "east");
    assert.deepEqual(agent.welcome?.servers, ["127.0.0.1:7443"]);
    await until("default/kubernetes", () => agent.keys(0).includes("services/default/kubernetes"));
    await apply(SERVICES, cart());
    await apply(ENDPOINT_SLICES, slice("cart-1", ["10.11.1.5", "10.11.0.7"]));
    await until("the slice is here", () => backends(agent, "slices/shop/cart/cart-1").length === 2);
    const service = Service.decode(agent.value(0, "services/shop/cart") ?? new Uint8Array());
    assert.deepEqual(service.ports, [{ name: "http", protocol: 6, port: 80 }]);
    assert.deepEqual(backends(agent, "slices/shop/cart/cart-1"), ["10.11.0.7", "10.11.1.5"]);
    await client.delete(ENDPOINT_SLICES, "cart-1", { namespace: "shop" });
    await until("the slice is gone", () => agent.value(0, "slices/shop/cart/cart-1") === undefined);
    assert.equal(agent.source(0).broken, undefined);
    assert.equal(agent.source(0).marks.bad, 0);
    assert.equal(agent.source(0).firstSyncs, 1);
  });

  test("a node's configuration is sent to that node alone", async (t) => {
    for (const [name, cidr] of [
      ["n1", "10.11.1.0/24"],
      ["n2", "10.11.2.0/24"],
    ]) {
      await apply(NODES, { metadata: { name }, spec: { podCIDR: cidr, podCIDRs: [cidr] } } as KubeObject);
    }
    const [one, two] = [await agentOf("n1"), await agentOf("n2")];
    t.after(() => {
      one.close();
      two.close();
    });
    await until("n2 knows itself", () => two.value(0, "node-configs/n2") !== undefined);
    const config = NodeConfig.decode(two.value(0, "node-configs/n2") ?? new Uint8Array());
    assert.equal(config.podCidrs[0]?.length, 120);
    assert.equal(config.serviceCidrs[0]?.length, 96 + 16);
    assert.equal(two.value(0, "node-configs/n1"), undefined);
    assert.ok(one.value(0, "nodes/n2") !== undefined, "but every node's record goes to all");
  });

  test("an invalid annotation leaves the last good value in force and is reported with the fix by an Event and a note", async (t) => {
    const agent = await agentOf("n1");
    t.after(() => agent.close());
    const config = () => ServiceConfig.decode(agent.value(0, "service-configs/shop/cart") ?? new Uint8Array());
    await apply(SERVICES, cart({ "service.cilium.io/global": "true" }));
    await until("global", () => config().global);
    await apply(SERVICES, cart({ "service.cilium.io/global": "yes" }));
    await until("the note", () => config().notes.length === 1);
    assert.equal(config().global, true);
    assert.match(
      config().notes[0] ?? "",
      /"service.cilium.io\/global" with value "yes".*last good value "true".*Set it to one of "true", "false"/,
    );
    const event = async () => {
      const events = await client.list<KubeObject & { reason?: string; regarding?: { name?: string } }>(
        { group: "events.k8s.io", version: "v1", plural: "events", kind: "Event", namespaced: true },
        { namespace: "shop" },
      );
      return events.some(({ reason, regarding }) => reason === "InvalidAnnotation" && regarding?.name === "cart");
    };
    await until("the Event", event);
    // A restart does not turn it into a local Service.
    const kept = () => client.get(CONFIG_MAPS, "mesh-last-good", { namespace: "mesh-system" });
    await until("the last good value is kept", async () => (await kept()) !== undefined);
    await apiserver.stop();
    apiserver = await startApiserver(kube, tls);
    const later = await agentOf("n2");
    t.after(() => later.close());
    const value = () => ServiceConfig.decode(later.value(0, "service-configs/shop/cart") ?? new Uint8Array());
    await until("still global", () => value().global && value().notes.length === 1);
  });
});

describe("positions", () => {
  test("a client that reconnects receives only what it missed", async (t) => {
    const first = await agentOf("n1");
    const { position } = first.source(0);
    first.close();
    await apply(ENDPOINT_SLICES, slice("cart-2", ["10.11.1.9"]));
    const again = await agentOf("n1", {
      held: first.held,
      sources: [{ clusterId: 0, floor: position, have: position }],
    });
    t.after(() => again.close());
    await until("what it missed", () => backends(again, "slices/shop/cart/cart-2").length === 1);
    assert.equal(again.source(0).firstSyncs, 1, "no second first sync");
    assert.ok(again.batches.flatMap(({ upserts }) => upserts).length <= 2);
  });

  test("a new server process serves a client whose floor was a deletion", async (t) => {
    const agent = await agentOf("n1");
    await client.delete(ENDPOINT_SLICES, "cart-2", { namespace: "shop" });
    await until("deleted", () => agent.value(0, "slices/shop/cart/cart-2") === undefined);
    const { position } = agent.source(0);
    agent.close();
    await apiserver.stop();
    apiserver = await startApiserver(kube, tls, { instance: "test-2" });
    const again = await agentOf("n1", {
      held: agent.held,
      sources: [{ clusterId: 0, floor: position, have: position }],
    });
    t.after(() => again.close());
    assert.equal(again.source(0).inSync, true);
    assert.equal(again.value(0, "slices/shop/cart/cart-2"), undefined);
    assert.equal(again.source(0).marks.bad, 0);
  });

  const beyond = (position: Position | undefined, by: bigint) => {
    assert.ok(position !== undefined);
    return { ...position, versions: position.versions.map((version) => version + by) };
  };
  const connect = async (node: string, floor: Position) =>
    connectAgent({
      port: apiserver.port,
      node,
      tls: await tls.node(node),
      sources: [{ clusterId: 0, floor, have: undefined }],
    });

  test("a floor beyond Kubernetes of a node that was served is refused; other nodes are not affected", async (t) => {
    const other = await agentOf("n2");
    const before = await agentOf("n1");
    const { position } = before.source(0);
    before.close();
    const agent = await connect("n1", beyond(position, 1_000_000n));
    t.after(() => {
      agent.close();
      other.close();
    });
    await until("refused", async () => /mesh_local_floors_refused 1\b/.test((await apiserver.get("/metrics")).body));
    assert.ok(agent.states.some(({ clusterId, behind }) => clusterId === 0 && behind));
    await apply(ENDPOINT_SLICES, slice("cart-9", ["10.11.1.99"]));
    await until("the others are served", () => backends(other, "slices/shop/cart/cart-9").length === 1);
    assert.deepEqual(other.source(0).position?.storeId, position?.storeId, "the epoch stays");
    assert.deepEqual(
      agent.batches.filter(({ clusterId }) => clusterId === 0),
      [],
    );
    await client.delete(ENDPOINT_SLICES, "cart-9", { namespace: "shop" });
  });

  test("after a restart, a floor beyond Kubernetes proves a restore during the downtime and starts a new epoch", async (t) => {
    const before = await agentOf("n1");
    const { position } = before.source(0);
    before.close();
    await apiserver.stop();
    apiserver = await startApiserver(kube, tls);
    const agent = await connect("n1", beyond(position, 1_000_000n));
    t.after(() => agent.close());
    await until("withheld", () => agent.states.some(({ behind }) => behind));
    await until("in sync", () => agent.source(0).inSync, 30_000);
    assert.notDeepEqual(agent.source(0).position?.storeId, position?.storeId);
  });
});

test("when Kubernetes is restored from a backup, connected agents get a new epoch with the restored content", async (t) => {
  const agent = await agentOf("n1");
  t.after(() => agent.close());
  await apply(ENDPOINT_SLICES, slice("cart-7", ["10.11.1.7"]));
  await until("seven", () => backends(agent, "slices/shop/cart/cart-7").length === 1);
  await kube.backUp();
  await apply(ENDPOINT_SLICES, slice("cart-7", ["10.11.1.7", "10.11.1.77"]));
  await apply(ENDPOINT_SLICES, slice("cart-8", ["10.11.1.8"]));
  await until("eight", () => agent.value(0, "slices/shop/cart/cart-8") !== undefined, 30_000);
  const before = agent.source(0).position;
  await kube.restoreBackup();
  await until("eight is gone", () => agent.value(0, "slices/shop/cart/cart-8") === undefined, 30_000);
  await until("seven as it was", () => backends(agent, "slices/shop/cart/cart-7").length === 1);
  assert.notDeepEqual(agent.source(0).position?.storeId, before?.storeId);
  await apply(ENDPOINT_SLICES, slice("cart-9", ["10.11.1.9"]));
  await until("it goes on", () => backends(agent, "slices/shop/cart/cart-9").length === 1);
  assert.equal(agent.source(0).broken, undefined);
});

describe("admission of agents", () => {
  test("a Hello that names another node than the certificate is refused", async () => {
    const agent = await agentOf("n1", { tls: await tls.node("n2") });
    assert.equal(agent.error?.code, 7);
    const other = await agentOf("n1", { tls: await tls.client("n1") });
    assert.equal(other.error?.code, 7);
  });

  test("an unknown protocol version is refused", async () => {
    const agent = await agentOf("n1", { protocol: [2, 3] });
    assert.equal(agent.error?.code, 9);
  });

  test("a second stream of a node replaces the first", async (t) => {
    const first = await agentOf("n1");
    const second = await agentOf("n1");
    t.after(() => second.close());
    await until("the first was sent away", () => first.goAway !== undefined);
    first.close();
    assert.equal(second.ended, false);
  });
});

test("/readyz and /metrics are served, and agents receive a GoAway at shutdown", async () => {
  assert.deepEqual((await apiserver.get("/readyz")).status, 200);
  const agent = await agentOf("n1");
  agent.ack(0);
  assert.equal(agent.states.at(-1)?.status, PeerState.PEER_STATE_IN_SYNC);
  const metrics = async () => (await apiserver.get("/metrics")).body;
  await apply(ENDPOINT_SLICES, slice("cart-3", ["10.11.1.3"]));
  await until("propagation", async () =>
    /mesh_propagation_seconds_count\{stage="sent",cluster="east"\}/.test(await metrics()),
  );
  await apiserver.stop();
  await until("sent away", () => agent.goAway?.reason === "shutting down");
  agent.close();
  apiserver = await startApiserver(kube, tls);
});
