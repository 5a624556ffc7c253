/** Faults of a real etcd that the publisher does not cause: restored backups, late responses, writes by others. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  claimKey,
  clusterPrefix,
  createStore,
  provisionCluster,
  provisionStore,
  type Store,
  type Write,
} from "@isthmus/kvstore";
import { startEtcd } from "@isthmus/kvstore/testing";
import { parseClusterId, parseClusterName, systemClock } from "@isthmus/model";
import { ClusterClaim, Head, HeadState } from "@isthmus/proto";
import { createRecordTable, STORE_KINDS } from "@isthmus/records";
import { until } from "@isthmus/testing";
import {
  clusterConfig,
  createMemoryExport,
  openStore,
  runPublisher,
  untilPublished,
} from "../publish/testing/fixture.js";
import type { RemoteSource } from "./remote-source.js";
import { peer, runSources, slice, slices, untilSame } from "./testing/fixture.js";

const etcd = await startEtcd();
const store = await openStore(etcd);
after(async () => {
  store.close();
  await etcd.close();
});

function watchDeletes(source: RemoteSource): string[] {
  const deletes: string[] = [];
  source.index.onChange((delta) => deletes.push(...delta.deletes.map(({ key }) => key)));
  return deletes;
}

test("after a backup is restored under the same store id nothing newer is deleted, and the publisher sets another id", async (t) => {
  const exported = createMemoryExport(slices(1, 200));
  const publisher = runPublisher(store, exported, { config: clusterConfig("one", 1) });
  const running = runSources(store, [peer("one", 1)]);
  t.after(() => Promise.all([running.stop(), publisher.stop()]));
  const source = running.source(1);
  await untilSame(source, exported.table);
  await etcd.backUp();
  exported.change([slice(1, 500), slice(1, 1, 7)], [{ key: "slices/shop/cart/s2" }]);
  await untilPublished(store, "one", exported);
  await untilSame(source, exported.table);
  const deletes = watchDeletes(source);
  const before = source.index.position;
  await etcd.restoreBackup();
  await until(
    "another store id",
    () => source.index.position?.storeId.equals(before?.storeId ?? Buffer.of()) === false,
  );
  await untilSame(source, exported.table);
  assert.deepEqual(deletes, []);
});

test("after a backup is restored while no publisher runs, all records stay until a publisher has written", async (t) => {
  const exported = createMemoryExport(slices(2, 200));
  const publisher = runPublisher(store, exported, { config: clusterConfig("two", 2) });
  const running = runSources(store, [peer("two", 2)]);
  t.after(() => Promise.all([running.stop(), publisher.stop()]));
  const source = running.source(2);
  await untilPublished(store, "two", exported);
  await etcd.backUp();
  exported.change([slice(2, 500)], [{ key: "slices/shop/cart/s2" }]);
  await untilPublished(store, "two", exported);
  await untilSame(source, exported.table);
  await publisher.stop();
  const deletes = watchDeletes(source);
  const before = source.index.position;
  await etcd.restoreBackup();
  await until("the restore is noticed", () => source.report().message.includes("was set back"));
  assert.deepEqual(source.index.position, before);
  const next = runPublisher(store, exported, { config: clusterConfig("two", 2) });
  t.after(() => next.stop());
  await until(
    "it is followed again",
    () => source.report().state === "InSync" && source.report().message === "",
    30_000,
  );
  await untilSame(source, exported.table);
  assert.deepEqual([deletes, source.index.size], [[], 200]);
});

test("the result of a listing is ignored when a newer listing was started", async (t) => {
  const exported = createMemoryExport(slices(3, 20));
  const publisher = runPublisher(store, exported, { config: clusterConfig("three", 3) });
  await untilPublished(store, "three", exported);
  const held: (() => void)[] = [];
  let holding = true;
  const slow: Store = {
    ...store,
    async *list(prefix, options) {
      const pages = [];
      for await (const page of store.list(prefix, options)) pages.push(page);
      if (holding) await new Promise<void>((resolve) => held.push(resolve));
      yield* pages;
    },
  };
  const running = runSources(slow, [peer("three", 3, "uid-three")]);
  t.after(() => Promise.all([running.stop(), publisher.stop()]));
  const source = running.source(3);
  await until("the first listing waits", () => held.length === 1);
  exported.change([slice(3, 1, 5)], [{ key: "slices/shop/cart/s2" }]);
  await untilPublished(store, "three", exported);
  running.sources.update([peer("three", 3, "")]); // causes another listing
  await until("the second listing waits", () => held.length === 2);
  held[0]?.();
  for (let i = 0; i < 5; i++) await store.get("/"); // time to apply it
  assert.equal(source.index.size, 0, "the late result is ignored");
  holding = false;
  held[1]?.();
  await untilSame(source, exported.table);
});

/** The keys with which another writer could impersonate a cluster: a claim, a store id and a matching LIVE head. */
function forgery(name: string, id: number, storeId: Uint8Array): Write[] {
  const table = createRecordTable();
  const records = [slice(id, 7, 99), slice(id, 900)];
  for (const record of records) table.set(record);
  const head = Head.create({
    clusterUid: `uid-${name}`,
    seq: 1_000_000n,
    writer: "mallory",
    state: HeadState.HEAD_STATE_LIVE,
    sums: table.sums(STORE_KINDS),
    minReader: 1,
  });
  const prefix = clusterPrefix(parseClusterName(name));
  const claim = ClusterClaim.encode({ name, uid: `uid-${name}` }).finish();
  return [
    { type: "put", key: claimKey(parseClusterId(id)), value: claim },
    { type: "put", key: `${prefix}store`, value: storeId },
    ...records.map(({ key, value }): Write => ({ type: "put", key: prefix + key, value })),
    { type: "put", key: `${prefix}head`, value: Head.encode(head).finish() },
  ];
}

test("a wiped store that is not provisioned again is refused, even if another cluster first writes in the names of all", async (t) => {
  const secured = await startEtcd({ tls: true });
  const owner = createStore(await secured.options("root"));
  t.after(async () => {
    owner.close();
    await secured.close();
  });
  const provision = async (): Promise<void> => {
    await provisionStore(owner);
    await provisionCluster(owner, parseClusterName("east"), parseClusterId(1));
    await provisionCluster(owner, parseClusterName("west"), parseClusterId(2));
  };
  await provision();
  const [east, west] = [createStore(await secured.options("east")), createStore(await secured.options("west"))];
  const exported = createMemoryExport(slices(1, 300));
  const publisher = runPublisher(east, exported, { config: clusterConfig("east", 1), allowOpenStore: false });
  const running = runSources(west, [peer("east", 1, "uid-east")], systemClock, {});
  t.after(async () => {
    await Promise.all([running.stop(), publisher.stop()]);
    for (const each of [east, west]) each.close();
  });
  const source = running.source(1);
  await untilSame(source, exported.table);
  const deletes = watchDeletes(source);
  const known = Buffer.from(source.index.position?.storeId ?? "");

  await secured.wipe();
  // West can now write as any cluster, and knows the previous store id; then it exceeds the previous revisions.
  await west.txn([], forgery("east", 1, known));
  for (let i = 0; i < 300; i++) await west.txn([], [{ type: "put", key: "/x", value: Buffer.of(i & 255) }]);
  await until("the reader refuses the store", () => source.report().state === "Refused", 30_000);
  assert.match(source.report().message, /does not check who writes/);
  await until("the publisher refuses the store", () => publisher.publisher.status().state === "Refused");
  assert.deepEqual([source.index.size, deletes], [300, []]);
  assert.equal(source.index.get("slices/shop/cart/s900"), undefined);

  await provision();
  await untilPublished(owner, "east", exported, 30_000);
  await untilSame(source, exported.table, 30_000);
  assert.deepEqual(deletes, []);
  assert.equal(source.index.get("slices/shop/cart/s900"), undefined);
});
