/** What etcd lets whom do, pinned: also what it allows although one would rather not. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { parseClusterId, parseClusterName } from "@isthmus/model";
import { createAuthority, issue } from "@isthmus/pki";
import { until } from "@isthmus/testing";
import { authEnabled, memberGrants, provisionCluster, provisionStore, removeCluster } from "./auth.js";
import { StoreError } from "./errors.js";
import { claimKey, clusterPrefix, ROOT_PREFIX } from "./layout.js";
import { createStore, type Store } from "./store.js";
import { type EtcdServer, startEtcd } from "./testing/index.js";

const [east, west] = [parseClusterName("east"), parseClusterName("west")];
const [one, two] = [parseClusterId(1), parseClusterId(2)];

let etcd: EtcdServer;
let owner: Store;
let member: Store;

before(async () => {
  etcd = await startEtcd({ tls: true });
  owner = createStore(await etcd.options("root"));
  member = createStore(await etcd.options("east"));
  await provisionStore(owner);
  await provisionCluster(owner, east, one);
  await provisionCluster(owner, west, two);
});
after(async () => {
  for (const store of [owner, member]) store.close();
  await etcd.close();
});

const put = (store: Store, key: string) => store.txn([], [{ type: "put", key, value: Buffer.from("v") }]);

async function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => "ok",
    (thrown: unknown) => (thrown instanceof StoreError ? thrown.code : String(thrown)),
  );
}

test("a member writes its own prefix and its own claim, and reads the mesh; nothing else", async () => {
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
    const read = await codeOf(member.get(key));
    matrix[key] = `read ${read}, write ${await codeOf(put(member, key))}`;
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

test("a txn that touches one foreign key writes nothing at all", async () => {
  const own = `${clusterPrefix(east)}nodes/n1`;
  const foreign = `${clusterPrefix(west)}nodes/n1`;
  const writes = [own, foreign].map((key) => ({ type: "put" as const, key, value: Buffer.from("v") }));
  assert.equal(await codeOf(member.txn([], writes)), "STORE_DENIED");
  assert.equal((await owner.get(own)).entry, undefined);
});

test("known limits: any member may compact, and list leases; it may not manage users", async () => {
  const { revision } = await member.get(claimKey(one));
  const { kv, leaseClient, auth } = member.transport;
  assert.equal(await codeOf(kv.compact({ revision: String(revision) })), "ok");
  assert.equal(await codeOf(leaseClient.leaseLeases({})), "ok");
  const lease = await leaseClient.leaseGrant({ TTL: 60 });
  assert.ok(lease.ID !== "0");
  assert.match(String(await auth.userAdd({ name: "mallory" }).catch(String)), /permission denied/);
});

test("a certificate of another CA is not even connected", async () => {
  const other = await createAuthority("someone-else");
  const leaf = await issue(other, { cn: "east", usages: ["client"] });
  const stranger = createStore({ ...(await etcd.options("east")), certificate: leaf.certificate, key: leaf.key });
  assert.equal(await codeOf(stranger.get(claimKey(one))), "STORE_UNAVAILABLE");
  stranger.close();
});

test("a certificate whose name has no user may do nothing", async () => {
  const nobody = createStore(await etcd.options("nobody"));
  assert.match(await codeOf(nobody.get(claimKey(one))), /STORE_(DENIED|UNAUTHENTICATED)/);
  assert.match(await codeOf(put(nobody, `${clusterPrefix(east)}head`)), /STORE_(DENIED|UNAUTHENTICATED)/);
  nobody.close();
});

test("provisioning again makes it exact: what is too much goes away", async () => {
  const { auth } = owner.transport;
  const perm = { permType: "Readwrite" as const, key: Buffer.from("/mesh/v1/c/west/"), range_end: Buffer.alloc(0) };
  await auth.roleGrantPermission({ name: "east", perm });
  await provisionCluster(owner, east, one);
  const { perm: have } = await auth.roleGet({ role: "east" });
  const text = (key: unknown, end: unknown): string => `${key} ${end}`;
  assert.deepEqual(
    have?.map(({ key, range_end }) => text(key, range_end)).sort(),
    memberGrants(east, one)
      .map(({ key, end }) => text(key, end ?? ""))
      .sort(),
  );
  await provisionStore(owner);
});

test("whether the store checks its users is seen by a member, too", async () => {
  assert.equal(await authEnabled(member), true);
  assert.equal(await authEnabled(owner), true);
  const open = await startEtcd();
  const anyone = createStore(await open.options("root"));
  assert.equal(await authEnabled(anyone), false);
  anyone.close();
  await open.close();
});

test("a revoked user's open watch goes on receiving: revocation closes connections, too", async () => {
  const { revision } = await owner.get(claimKey(one));
  const controller = new AbortController();
  const west1 = createStore(await etcd.options("west"));
  const keys: string[] = [];
  let open = false;
  const over = west1.watch({ prefix: clusterPrefix(east), from: revision + 1n, signal: controller.signal }, (news) => {
    open ||= news.type === "opened";
    if (news.type === "events") keys.push(...news.events.map(({ key }) => key));
  });
  await until("the watch is open", () => open);
  await removeCluster(owner, west);
  assert.match(await codeOf(west1.get(claimKey(one))), /STORE_(DENIED|UNAUTHENTICATED)/);
  await put(member, `${clusterPrefix(east)}nodes/secret`);
  await until("it still hears", () => keys.includes(`${clusterPrefix(east)}nodes/secret`));
  controller.abort();
  await over;
  west1.close();
  await provisionCluster(owner, west, two);
});

test("a wiped store has forgotten its users: it is provisioned before it is reachable", async () => {
  await etcd.wipe(async (store) => {
    await provisionStore(store);
    await provisionCluster(store, east, one);
  });
  assert.equal(await codeOf(put(member, `${clusterPrefix(east)}head`)), "ok");
  assert.equal(await codeOf(put(member, `${clusterPrefix(west)}head`)), "STORE_DENIED");
});

test("no cluster is called root", async () => {
  await assert.rejects(provisionCluster(owner, parseClusterName("root"), one), /the store's owner has it/);
});
