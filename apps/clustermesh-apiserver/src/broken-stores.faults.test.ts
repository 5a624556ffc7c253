/**
 * With every kind of broken store: a local change reaches agents, the status names the fault and the fix, no loop spins, and
 * publishing resumes by itself once the store works.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { credentials, Metadata } from "@grpc/grpc-js";
import { EVENTS, type KubeSecret, MESH_PEERS, type MeshPeer, SECRETS, type StoreSpec } from "@isthmus/kube";
import { claimKey, createStore, provisionStore, removeCluster, type Store } from "@isthmus/kvstore";
import { type EtcdServer, emptyStore, fillStore, startEtcd } from "@isthmus/kvstore/testing";
import { parseClusterId, parseClusterName } from "@isthmus/model";
import { createLogger } from "@isthmus/observe";
import { createAuthority, issue } from "@isthmus/pki";
import { AdminClient, ClusterClaim } from "@isthmus/proto";
import { freePort, until } from "@isthmus/testing";
import { type FrontMode, type StoreFront, startStoreFront } from "./testing/store-front.js";
import { connectAgent, type TestAgent } from "./testing/test-agent.js";
import {
  applyService,
  makeStoreUser,
  setStore,
  startTestCluster,
  storeSpec,
  type TestCluster,
} from "./testing/test-cluster.js";

let etcd: EtcdServer;
let owner: Store;
let front: StoreFront;
let east: TestCluster;
let agent: TestAgent;
let good: StoreSpec;
const lines: string[] = [];

before(async () => {
  etcd = await startEtcd({ tls: true, flags: ["--quota-backend-bytes", String(16 << 20)] });
  owner = createStore(await etcd.options("root"));
  await provisionStore(owner);
  assert.ok(etcd.authority !== undefined);
  const pair = await issue(etcd.authority, { cn: "front", sans: ["localhost", "127.0.0.1"], usages: ["server"] });
  front = await startStoreFront(etcd.port, pair);
  const log = createLogger({ app: "test", level: "debug", destination: { write: (line) => void lines.push(line) } });
  east = await startTestCluster("east", 1, log);
  await makeStoreUser(etcd, east);
  good = { ...(await storeSpec(east, etcd)), endpoints: [`https://localhost:${front.port}`] };
  agent = connectAgent({ port: east.apiserver.port, node: "n1", tls: await east.tls.node("n1") });
  await setStore(east, good);
  await isPublished();
});

after(async () => {
  agent?.close();
  await east?.stop();
  owner?.close();
  await front?.close();
  await etcd?.close();
});

const isPublished = () =>
  until("published", async () => (await east.condition("Published"))?.status === "True", 60_000);

/** Creates a Service and waits until it reaches the agent. */
let services = 0;
async function localChange(): Promise<string> {
  const name = `s${++services}`;
  const started = performance.now();
  await applyService(east, name, `10.11.1.${services}`, { "service.cilium.io/global": "true" });
  await until(`${name} at the agent`, () => agent.value(0, `slices/shop/${name}/${name}-1`) !== undefined, 5000);
  assert.ok(performance.now() - started < 5000);
  return name;
}

const inStore = async (name: string) => (await owner.get(`/mesh/v1/c/east/services/shop/${name}`)).entry !== undefined;

interface Broken {
  readonly name: string;
  breaks(): Promise<void>;
  /** Matches the two conditions together. */
  readonly says: RegExp;
  /** Repairs the store from outside; the apiserver must recover by itself. */
  heals(): Promise<void>;
}

const by = (mode: FrontMode, name: string, says: RegExp): Broken => ({
  name,
  breaks: () => front.set(mode),
  says,
  heals: () => front.set("pass"),
});
const store = (name: string, says: RegExp, change: () => Promise<StoreSpec>): Broken => ({
  name,
  breaks: async () => setStore(east, await change()),
  says,
  heals: () => setStore(east, good),
});

const why = (words: string) =>
  new RegExp(`Cannot reach the store: "https://.*" \\(${words}\\).*spec\\.store\\.endpoints`);
const CASES: readonly Broken[] = [
  by("closed", "refuses connections", why("connection refused")),
  by("reset", "resets connections", why("no TLS handshake")),
  by("silent", "accepts and never answers", why("no answer within.*")),
  by("garbage", "is something without TLS", why("no TLS handshake")),
  by("http", "is something else with TLS", /does not answer as etcd does .*spec\.store\.endpoints/),
  store("has a name that does not resolve", why("its name does not resolve"), async () => ({
    ...good,
    endpoints: ["https://no-such-store.invalid:2379"],
  })),
  store("is not of the CA", /spec\.store\.ca/, async () => ({
    ...good,
    ca: (await createAuthority("other")).certificate,
  })),
  {
    name: "does not know the user",
    breaks: () => removeCluster(owner, parseClusterName("east")),
    says: /mesh connect/,
    heals: () => makeStoreUser(etcd, east),
  },
  store(
    "was given a certificate that has expired",
    /"spec\.store\.certificate" .* expired on .*mesh connect/,
    async () => ({
      ...good,
      certificate: (await storeSpec(east, etcd, -1)).certificate,
    }),
  ),
  store("was given a certificate of another key", /mesh connect/, async () => {
    assert.ok(etcd.authority !== undefined);
    return { ...good, certificate: (await issue(etcd.authority, { cn: "east", usages: ["client"] })).certificate };
  }),
  {
    name: "is full",
    breaks: () => fillStore(owner),
    says: /the store is full; compact and defragment/,
    heals: () => emptyStore(owner),
  },
  {
    name: "has our id claimed by another cluster",
    breaks: () => claim("west", "00000000-0000-0000-0000-000000000002"),
    says: /cluster id 1: cluster "west" with uid .* has claimed it/,
    heals: async () => {
      await owner.txn([], [{ type: "delete", key: claimKey(parseClusterId(1)) }]);
    },
  },
];

async function claim(name: string, uid: string): Promise<void> {
  const value = ClusterClaim.encode({ name, uid }).finish();
  await owner.txn([], [{ type: "put", key: claimKey(parseClusterId(1)), value }]);
  // The claim is read when the publisher connects.
  await front.set("pass");
  await owner.txn([], [{ type: "delete", key: "/mesh/v1/c/east/head" }]);
}

/** Fails when the idle process uses more than a third of a core, or connects to the store 15 times a second or more. */
async function isCalm(): Promise<void> {
  const [cpu, connections] = [process.cpuUsage(), front.connections];
  const seconds = 2;
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const { user, system } = process.cpuUsage(cpu);
  assert.ok((user + system) / 1e6 < seconds / 3, `${(user + system) / 1e6} s of CPU in ${seconds} s`);
  const rate = (front.connections - connections) / seconds;
  assert.ok(rate < 15, `${rate} connections a second`);
}

describe("with a store that", () => {
  for (const { name, breaks, says, heals } of CASES) {
    test(name, async (t) => {
      await breaks();
      let healed = false;
      t.after(() => (healed ? undefined : heals()));
      await localChange();
      let said = "";
      await until(
        "the status says so",
        async () => {
          const conditions = [await east.condition("StoreReachable"), await east.condition("Published")];
          said = conditions.map((each) => `${each?.status} ${each?.reason} ${each?.message}`).join(" | ");
          return conditions.some((each) => each?.status === "False") && says.test(said);
        },
        30_000,
      ).catch((error: Error) => assert.fail(`${error.message}; it says: ${said}`));
      const during = await localChange();
      await isCalm();
      assert.equal((await east.apiserver.get("/readyz")).status, 200, "local agents are served all the same");
      assert.equal((await east.condition("Ready"))?.status, "True");
      await heals();
      healed = true;
      await isPublished();
      await until("what came meanwhile is published", () => inStore(during), 30_000);
    });
  }
});

test("undecodable values in every key of the cluster do not stop the publisher, which restores them", async () => {
  const junk = Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x0a, 0xff]);
  const name = await localChange();
  await until("published", () => inStore(name), 30_000);
  const keys = ["head", "fence", "store", "config", `services/shop/${name}`, "nodes/n1", "slices/a", "services/x/y/z"];
  for (const key of [...keys, "endpoints/\xff", ""]) {
    const write = { type: "put", key: `/mesh/v1/c/east/${key}`, value: junk } as const;
    await owner.txn([], [write]);
  }
  await owner.txn([], [{ type: "put", key: claimKey(parseClusterId(1)), value: junk }]);
  await localChange();
  await owner.txn([], [{ type: "delete", key: claimKey(parseClusterId(1)) }]);
  const record = async () => (await owner.get(`/mesh/v1/c/east/services/shop/${name}`)).entry?.value;
  await until("put right", async () => (await record())?.equals(junk) === false, 30_000);
  await isPublished();
  await isCalm();
});

test("undecodable records of a peer are refused and counted; the local cluster and other peers are not affected", async () => {
  const put = (key: string, value: Buffer) => owner.txn([], [{ type: "put", key: `/mesh/v1/c/west/${key}`, value }]);
  await put("store", Buffer.alloc(16, 7));
  const junk = [
    Buffer.alloc(0),
    Buffer.from([0xff]),
    Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
    Buffer.alloc(9),
  ];
  const keys = [
    "services/shop/s1",
    "slices/shop/s1/x",
    "nodes/w1",
    "endpoints/10.12.0.9",
    "identities/2097408",
    "head",
  ];
  for (const value of junk) for (const key of keys) await put(key, value);
  // The first listing returns the last of them, the watch then each one.
  await east.client.create<MeshPeer>(MESH_PEERS, {
    metadata: { name: "west" },
    spec: { id: 2, podCIDRs: ["10.12.0.0/16"], serviceCIDRs: ["10.92.0.0/16"], uid: "w" },
  });
  const peer = async () => (await east.client.get<MeshPeer>(MESH_PEERS, "west"))?.status;
  await until("followed", async () => (await peer())?.storeId === "07".repeat(16), 30_000);
  for (const value of junk) for (const key of keys) await put(key, value);
  await localChange();
  await isPublished();
  assert.equal((await east.apiserver.get("/readyz")).status, 200);
  await isCalm();
});

test("a store with a latency of one second is usable", async () => {
  await front.set("slow");
  const name = await localChange();
  await until("published", () => inStore(name), 60_000);
  await isCalm();
  await front.set("pass");
  await isPublished();
});

test("keepalive detects dead but open connections to the store, for calls and for watches", async () => {
  const name = await localChange();
  await until("published", () => inStore(name), 30_000);
  await isPublished();
  front.freeze();
  await localChange();
  const later = await localChange();
  await until("published over another connection", () => inStore(later), 60_000);
  await isPublished();
  // Only a new watch reports that the record was deleted externally.
  await owner.txn([], [{ type: "delete", key: `/mesh/v1/c/east/services/shop/${name}` }]);
  await until("put back", () => inStore(name), 60_000);
});

test("with one of two endpoints dead the other one is used, and no problem is reported", async () => {
  const dead = `https://localhost:${await freePort()}`;
  await setStore(east, { ...good, endpoints: [dead, ...good.endpoints] });
  const name = await localChange();
  await until("published", () => inStore(name), 30_000);
  await isPublished();
  assert.equal((await east.condition("StoreReachable"))?.status, "True");
  await setStore(east, good);
});

/** Every line of base64 of a key, and the key as one string. */
const partsOf = (pem: string) => pem.split("\n").filter((line) => line.length > 20 && !line.startsWith("-----"));

test("no log line, status or Event contains a secret", async () => {
  const token = "eyJhbGciOiJub25lIn0.c2VjcmV0LXRva2Vu.c2lnbmF0dXJl";
  const admin = new AdminClient(
    `127.0.0.1:${east.apiserver.adminPort}`,
    credentials.createSsl(Buffer.from(east.tls.ca)),
  );
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  await new Promise<void>((resolve) => admin.status({ figures: false }, metadata, () => resolve()));
  admin.close();
  const key = (await east.client.get<KubeSecret>(SECRETS, "mesh-store-key", { namespace: "mesh-system" }))?.data;
  const storeKey = Buffer.from(key?.["tls.key"] ?? "", "base64").toString();
  const secrets = [
    ...partsOf(storeKey),
    ...partsOf(readFileSync(join(east.tls.folder, "tls.key"), "utf8")),
    key?.["tls.key"] ?? "",
    ...token.split("."),
    "admin-token",
    "PRIVATE KEY",
  ];
  assert.ok(secrets.length > 8 && secrets.every((secret) => secret.length > 8));
  const events = await east.client.list(EVENTS);
  const printed = [...lines, JSON.stringify(await east.meshCluster()), JSON.stringify(events)];
  assert.ok(lines.some((line) => line.includes('"level":"debug"')) && lines.length > 10, `${lines.length} lines`);
  for (const secret of secrets)
    assert.deepEqual(
      printed.filter((text) => text.includes(secret)),
      [],
    );
});
