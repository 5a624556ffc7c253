/** Documents the permissions that etcd enforces, and what it allows although it should not. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { parseClusterId, parseClusterName } from "@isthmus/model";
import { createAuthority, issue } from "@isthmus/pki";
import { until } from "@isthmus/testing";
import { authEnabled, clusterGrants, provisionCluster, provisionStore, removeCluster } from "./auth.js";
import { StoreError } from "./errors.js";
import { claimKey, clusterPrefix, ROOT_PREFIX } from "./layout.js";
import { createStore, type Store } from "./store.js";
import { type EtcdServer, startEtcd } from "./testing/index.js";

const [east, west] = [parseClusterName("east"), parseClusterName("west")];
const [one, two] = [parseClusterId(1), parseClusterId(2)];

let etcd: EtcdServer;
let owner: Store;
let eastStore: Store;

before(async () => {
  etcd = await startEtcd({ tls: true });
  owner = createStore(await etcd.options("root"));
  eastStore = createStore(await etcd.options("east"));
  await provisionStore(owner);
  await provisionCluster(owner, east, one);
  await provisionCluster(owner, west, two);
});
after(async () => {
  for (const store of [owner, eastStore]) store.close();
  await etcd.close();
});

const put = (store: Store, key: string) => store.txn([], [{ type: "put", key, value: Buffer.from("v") }]);

async function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => "ok",
    (thrown: unknown) => (thrown instanceof StoreError ? thrown.code : String(thrown)),
  );
}

test("a cluster may write its own prefix and its own claim, read the mesh, and nothing else", async () => {
  const matrix: Record<string, string> = {};
  const keys = [
    clusterPrefix(east).concat("head"),
    clusterPrefix(west).concat("slices/shop/cart/x"),
    ROOT_PREFIX.concat("c/east-2/head"),
    claimKey(one),
    claimKey(two),
    claimKey(parseClusterId(11)),
    ROOT_PREFIX.concat("other"),
    "/elsewhere",
  ];
  for (const key of keys) {
    const read = await codeOf(eastStore.get(key));
    matrix[key] = `read ${read}, write ${await codeOf(put(eastStore, key))}`;
  }
  assert.deepEqual(matrix, {
    "/mesh/v1/c/east/head": "read ok, write ok",
    "/mesh/v1/c/west/slices/shop/cart/x": "read ok, write STORE_DENIED",
    "/mesh/v1/c/east-2/head": "read ok, write STORE_DENIED",
    "/mesh/v1/ids/1": "read ok, write ok",
    "/mesh/v1/ids/2": "read ok, write STORE_DENIED",
    "/mesh/v1/ids/11": "read ok, write STORE_DENIED",
    "/mesh/v1/other": "read ok, write STORE_DENIED",
    "/elsewhere": "read STORE_DENIED, write STORE_DENIED",
  });
});

test("a txn with one key of another cluster writes nothing", async () => {
  const local = `${clusterPrefix(east)}nodes/n1`;
  const other = `${clusterPrefix(west)}nodes/n1`;
  const writes = [local, other].map((key) => ({ type: "put" as const, key, value: Buffer.from("v") }));
  assert.equal(await codeOf(eastStore.txn([], writes)), "STORE_DENIED");
  assert.equal((await owner.get(local)).entry, undefined);
});

test("known limits: any cluster may compact and list leases, but not manage users", async () => {
  const { revision } = await eastStore.get(claimKey(one));
  const { kv, leaseClient, auth } = eastStore.transport;
  assert.equal(await codeOf(kv.compact({ revision: String(revision) })), "ok");
  assert.equal(await codeOf(leaseClient.leaseLeases({})), "ok");
  const lease = await leaseClient.leaseGrant({ TTL: 60 });
  assert.ok(lease.ID !== "0");
  assert.match(String(await auth.userAdd({ name: "mallory" }).catch(String)), /permission denied/);
});

test("a client with a certificate of another CA cannot connect", async () => {
  const other = await createAuthority("someone-else");
  const leaf = await issue(other, { cn: "east", usages: ["client"] });
  const client = createStore({ ...(await etcd.options("east")), certificate: leaf.certificate, key: leaf.key });
  assert.equal(await codeOf(client.get(claimKey(one))), "STORE_UNAVAILABLE");
  client.close();
});

test("a client whose common name has no user may do nothing", async () => {
  const nobody = createStore(await etcd.options("nobody"));
  assert.match(await codeOf(nobody.get(claimKey(one))), /STORE_(DENIED|UNAUTHENTICATED)/);
  assert.match(await codeOf(put(nobody, `${clusterPrefix(east)}head`)), /STORE_(DENIED|UNAUTHENTICATED)/);
  nobody.close();
});

test("provisioning again removes excess permissions", async () => {
  const { auth } = owner.transport;
  const perm = { permType: "Readwrite" as const, key: Buffer.from("/mesh/v1/c/west/"), range_end: Buffer.alloc(0) };
  await auth.roleGrantPermission({ name: "east", perm });
  await provisionCluster(owner, east, one);
  const { perm: have } = await auth.roleGet({ role: "east" });
  const text = (key: unknown, end: unknown): string => `${key} ${end}`;
  assert.deepEqual(
    have?.map(({ key, range_end }) => text(key, range_end)).sort(),
    clusterGrants(east, one)
      .map(({ key, end }) => text(key, end ?? ""))
      .sort(),
  );
  await provisionStore(owner);
});

test("a cluster can detect whether authentication is enabled", async () => {
  assert.equal(await authEnabled(eastStore), true);
  assert.equal(await authEnabled(owner), true);
  const open = await startEtcd();
  const anyone = createStore(await open.options("root"));
  assert.equal(await authEnabled(anyone), false);
  anyone.close();
  await open.close();
});

test("an open watch of a removed user still receives: its connections must be closed too", async () => {
  const { revision } = await owner.get(claimKey(one));
  const controller = new AbortController();
  const west1 = createStore(await etcd.options("west"));
  const keys: string[] = [];
  let open = false;
  const over = west1.watch(
    { prefix: clusterPrefix(east), from: revision + 1n, signal: controller.signal },
    (message) => {
      open ||= message.type === "opened";
      if (message.type === "events") keys.push(...message.events.map(({ key }) => key));
    },
  );
  await until("the watch is open", () => open);
  await removeCluster(owner, west);
  assert.match(await codeOf(west1.get(claimKey(one))), /STORE_(DENIED|UNAUTHENTICATED)/);
  await put(eastStore, `${clusterPrefix(east)}nodes/secret`);
  await until("it still receives", () => keys.includes(`${clusterPrefix(east)}nodes/secret`));
  controller.abort();
  await over;
  west1.close();
  await provisionCluster(owner, west, two);
});

test("a wiped store has no users: it is provisioned before it is reachable", async () => {
  await etcd.wipe(async (store) => {
    await provisionStore(store);
    await provisionCluster(store, east, one);
  });
  assert.equal(await codeOf(put(eastStore, `${clusterPrefix(east)}head`)), "ok");
  assert.equal(await codeOf(put(eastStore, `${clusterPrefix(west)}head`)), "STORE_DENIED");
});

test("a cluster must not be named root", async () => {
  await assert.rejects(
    provisionCluster(owner, parseClusterName("root"), one),
    /it is the user name of the store's owner/,
  );
});
