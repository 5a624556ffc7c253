/**
 * Two instances of one cluster's apiserver, as processes, on a real Kubernetes API and a real etcd: both serve agents, one
 * publishes and writes status; the other takes over when that one is suspended or stopped.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { createListWatch, MESH_CLUSTERS, MESH_PEERS, type MeshCluster, type MeshPeer, SERVICES } from "@isthmus/kube";
import { createStore, provisionStore, type Store } from "@isthmus/kvstore";
import { type EtcdServer, startEtcd } from "@isthmus/kvstore/testing";
import { systemClock } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { until } from "@isthmus/testing";
import { readPublished } from "../publish/testing/fixture.js";
import { type ApiserverProcess, spawnApiserver } from "../testing/apiserver-process.js";
import { connectAgent } from "../testing/test-agent.js";
import {
  applyService,
  makeStoreUser,
  setStore,
  startTestCluster,
  storeSpec,
  type TestCluster,
} from "../testing/test-cluster.js";

let etcd: EtcdServer;
let owner: Store;
let east: TestCluster;
const running: ApiserverProcess[] = [];

before(async () => {
  etcd = await startEtcd({ tls: true });
  owner = createStore(await etcd.options("root"));
  await provisionStore(owner);
  east = await startTestCluster("east", 1);
  const store = await storeSpec(east, etcd);
  await makeStoreUser(etcd, east);
  await setStore(east, store);
  await east.client.create<MeshPeer>(MESH_PEERS, {
    metadata: { name: "west" },
    spec: { id: 2, podCIDRs: ["10.12.0.0/16"], serviceCIDRs: ["10.92.0.0/16"], uid: "west" },
  });
  await east.apiserver.stop();
});

after(async () => {
  for (const each of running) await each.stop();
  owner?.close();
  await east?.stop();
  await etcd?.close();
});

async function start(instance: string, more: Readonly<Record<string, string>> = {}): Promise<ApiserverProcess> {
  const started = await spawnApiserver(east.kube, east.tls, instance, more);
  running.push(started);
  return started;
}

/** Name of the instance that wrote the head in the store. */
async function writer(): Promise<string> {
  return (await readPublished(owner, "east")).head?.writer.replace(/-[0-9a-f]{8}$/, "") ?? "";
}

const published = async () => (await east.condition("Published"))?.status === "True";

/** Records every version of the objects whose status is written, while it runs. */
function countWrites(): { stop(): Promise<void>; readonly seen: { writes: number; flaps: number } } {
  const seen = { writes: 0, flaps: 0 };
  const stop = new AbortController();
  const modules = { transport: east.client.transport, clock: systemClock, log: silentLogger };
  const count = ({ sets }: { readonly sets: readonly unknown[] }) => {
    seen.writes += sets.length;
  };
  const status = (object: MeshCluster) => object.status?.conditions?.find(({ type }) => type === "Published")?.status;
  const watches = [
    createListWatch(
      { resource: MESH_CLUSTERS, project: (object) => status(object as MeshCluster) },
      {
        ...modules,
        onChange(change) {
          count(change);
          seen.flaps += change.sets.filter(({ value }) => value !== "True").length;
        },
      },
    ),
    createListWatch({ resource: MESH_PEERS, project: () => "" }, { ...modules, onChange: count }),
    createListWatch({ resource: SERVICES, project: () => "" }, { ...modules, onChange: count }),
  ].map((watch) => watch.run(stop.signal));
  return {
    seen,
    async stop() {
      stop.abort();
      await Promise.all(watches);
    },
  };
}

test("both instances serve agents; one publishes and writes status, and the other reports why it does not", async (t) => {
  const one = await start("one");
  await until("one publishes", async () => (await writer()) === "one" && (await published()), 30_000);
  const two = await start("two");
  await applyService(east, "cart", "10.11.1.5", { "service.cilium.io/global": "yes" });
  for (const { port } of [one, two]) {
    const agent = connectAgent({ port, node: `n${port}`, tls: await east.tls.node(`n${port}`) });
    t.after(() => agent.close());
    await until("the Service is served", () => agent.keys(0).includes("services/shop/cart"));
  }
  const watching = countWrites();
  await systemClock.delay(5000);
  await watching.stop();
  // The first listing returns three objects; beat ages are written once a minute.
  assert.ok(watching.seen.writes < 10, `${watching.seen.writes} writes in 5 s`);
  assert.equal(watching.seen.flaps, 0);
  assert.equal((await east.meshCluster())?.status?.instance, "one");
  assert.equal(await writer(), "one");
  assert.match((await two.get("/readyz")).body, /^ok {2}leader: .*"one"/m);
  assert.ok(two.lines.some((line) => line.includes("Another instance")));
});

test("the other instance takes over while the holder is suspended; the holder stands by when it is resumed", async () => {
  const [one, two] = running;
  assert.ok(one !== undefined && two !== undefined);
  one.child.kill("SIGSTOP");
  await until("two publishes", async () => (await writer()) === "two", 40_000);
  await until("two writes status", async () => (await east.meshCluster())?.status?.instance === "two", 10_000);
  await until("the status is published", published);
  const watching = countWrites();
  one.child.kill("SIGCONT");
  await until("one reports why it does not write", async () =>
    /^ok {2}leader: .*"two"/m.test((await one.get("/readyz")).body),
  );
  await systemClock.delay(5000);
  await watching.stop();
  assert.ok(watching.seen.writes < 10, `${watching.seen.writes} writes in 5 s`);
  assert.equal((await east.meshCluster())?.status?.instance, "two");
  assert.equal(await writer(), "two");
});

test("an instance that is stopped releases the Lease, and the other takes over at once", async () => {
  const [, two] = running;
  assert.ok(two !== undefined);
  const start = systemClock.now();
  await two.stop();
  await until("one publishes", async () => (await writer()) === "one", 10_000);
  await until("one writes status", async () => (await east.meshCluster())?.status?.instance === "one", 10_000);
  // Waiting until the Lease expires would take 15 s and more.
  assert.ok(systemClock.now() - start < 12_000);
});

test("with a shutdown delay an instance keeps serving after SIGTERM, and a second SIGTERM ends it", async (t) => {
  const three = await start("three", { "shutdown-delay-seconds": "3600" });
  const agent = connectAgent({ port: three.port, node: "drained", tls: await east.tls.node("drained") });
  t.after(() => agent.close());
  await until("the agent is served", () => agent.keys(0).includes("services/shop/cart"));
  three.child.kill("SIGTERM");
  await until("the instance has received the signal", () =>
    three.lines.some((line) => line.includes("Termination requested")),
  );
  await applyService(east, "later", "10.11.1.6", { "service.cilium.io/global": "yes" });
  await until("a change after the signal", () => agent.keys(0).includes("services/shop/later"));
  const ended = once(three.child, "exit");
  three.child.kill("SIGTERM");
  assert.deepEqual(await ended, [1, null]);
});

test("an instance ends with exit code 0 after its shutdown delay", async () => {
  const four = await start("four", { "shutdown-delay-seconds": "1" });
  const ended = once(four.child, "exit");
  four.child.kill("SIGTERM");
  assert.deepEqual(await ended, [0, null]);
  assert.ok(four.lines.some((line) => line.includes("Termination requested")));
});
