/** Publisher and reader of adjacent versions (ADR 20) with a real etcd. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { clusterPrefix, type Store } from "@isthmus/kvstore";
import { startEtcd } from "@isthmus/kvstore/testing";
import { parseClusterName } from "@isthmus/model";
import { Head, Kind } from "@isthmus/proto";
import { kindOfKey } from "@isthmus/records";
import { until } from "@isthmus/testing";
import { clusterConfig, createMemoryExport, openStore, runPublisher } from "../publish/testing/fixture.js";
import { GADGET, gadgetSum, withSums } from "../publish/testing/other-versions.js";
import { node, peer, runSources, slice, slices } from "./testing/fixture.js";

const etcd = await startEtcd();
const store = await openStore(etcd);
after(async () => {
  store.close();
  await etcd.close();
});

const prefixOf = (name: string): string => clusterPrefix(parseClusterName(name));

/** A store that counts the listings of a reader. */
function counting(): { readonly store: Store; readonly listings: () => number } {
  let listings = 0;
  return {
    store: {
      ...store,
      list(prefix, options) {
        listings++;
        return store.list(prefix, options);
      },
    },
    listings: () => listings,
  };
}

async function headOf(prefix: string): Promise<Head> {
  return Head.decode((await store.get(`${prefix}head`)).entry?.value ?? Buffer.alloc(0));
}

test("a newer publisher's kind 99 causes no difference; this publisher takes over and keeps its keys", async () => {
  const prefix = prefixOf("newer");
  const gadgets = new Map<string, { readonly key: string; readonly value: Buffer }>();
  const newer: Store = {
    ...store,
    txn: (compares, writes) =>
      store.txn(
        compares,
        writes.map((write) => withSums(write, (sums) => [...sums, gadgetSum(gadgets.values())])),
      ),
  };
  const exported = createMemoryExport(slices(1, 20));
  const first = runPublisher(newer, exported, { config: clusterConfig("newer", 1) });
  const { store: counted, listings } = counting();
  const running = runSources(counted, [peer("newer", 1)]);
  const source = running.source(1);
  await until("in sync", () => source.isVerified());
  const before = listings();
  for (let i = 0; i < 10; i++) {
    gadgets.set(`g${i}`, { key: `gadgets/g${i}`, value: Buffer.from(`${i}`) });
    await store.txn([], [{ type: "put", key: `${prefix}gadgets/g${i}`, value: Buffer.from(`${i}`) }]);
    exported.change([slice(1, i, i + 1)]); // with a head that counts the gadgets
    await until("the change is in, and in sync", () => {
      const held = source.index.get(slice(1, i).key)?.hash;
      return source.isVerified() && held !== undefined && Buffer.from(held).equals(slice(1, i, i + 1).hash);
    });
  }
  const { sums } = await headOf(prefix);
  assert.equal(sums.find(({ kind }) => kind === GADGET)?.count, 10);
  assert.deepEqual([listings() - before, source.report().repairs], [0, 0]);

  await first.stop();
  const second = runPublisher(store, exported, { config: clusterConfig("newer", 1), instance: "of this version" });
  await until("it has taken over", async () => (await headOf(prefix)).writer === "of this version");
  exported.change([slice(1, 50)], [{ key: slice(1, 0).key }]);
  await until(
    "the change is in, and in sync",
    () => source.isVerified() && source.index.get(slice(1, 50).key) !== undefined,
  );
  for (const { key, value } of gadgets.values()) {
    assert.deepEqual((await store.get(prefix + key)).entry?.value, value, `${key} stays`);
  }
  assert.ok((await headOf(prefix)).sums.every(({ kind }) => kind !== GADGET));
  assert.deepEqual([source.index.size, source.report().repairs], [20, 0]);
  await running.stop();
  await second.stop();
});

/** The store as a publisher without the kind of nodes reads it. */
const older: Store = {
  ...store,
  async *list(prefix, options) {
    for await (const page of store.list(prefix, options)) {
      yield {
        ...page,
        entries: page.entries.filter(({ key }) => kindOfKey(key.slice(prefix.length)) !== Kind.KIND_NODE),
      };
    }
  },
  txn: (compares, writes) =>
    store.txn(
      compares,
      writes.map((write) => withSums(write, (sums) => sums.filter(({ kind }) => kind !== Kind.KIND_NODE))),
    ),
  watch: (options, onNews) =>
    store.watch(options, (news) => {
      if (news.type !== "events") return onNews(news);
      const relative = (key: string) => key.slice(options.prefix.length);
      const events = news.events.filter(({ key }) => kindOfKey(relative(key)) !== Kind.KIND_NODE);
      if (events.length > 0) onNews({ ...news, events });
    }),
};

test("an older publisher takes over and fills a wiped store: records of kinds unknown to it stay, and cause no listing", async () => {
  const prefix = prefixOf("older");
  const known = slices(2, 20);
  const whole = createMemoryExport([...known, node(2, "n", "192.168.2.1")]);
  const first = runPublisher(store, whole, { config: clusterConfig("older", 2) });
  const { store: counted, listings } = counting();
  const running = runSources(counted, [peer("older", 2)]);
  const source = running.source(2);
  await until("in sync", () => source.isVerified() && source.index.size === 21);
  const deletes: string[] = [];
  source.index.onChange((delta) => void deletes.push(...delta.deletes.map(({ key }) => key)));
  await first.stop();

  const part = createMemoryExport(known);
  const second = runPublisher(older, part, { config: clusterConfig("older", 2), instance: "of the version before" });
  await until("it has taken over", async () => (await headOf(prefix)).writer === "of the version before");
  part.change([slice(2, 30)]);
  await until("in sync", () => source.isVerified() && source.index.get(slice(2, 30).key) !== undefined);
  assert.ok((await store.get(`${prefix}nodes/n`)).entry !== undefined);

  await etcd.wipe();
  part.change([slice(2, 31)], [{ key: slice(2, 0).key }]);
  await until(
    "filled again, and in sync",
    () => source.isVerified() && source.index.get(slice(2, 31).key) !== undefined,
  );
  await until("the deleted record is removed", () => source.index.get(slice(2, 0).key) === undefined);
  assert.equal((await store.get(`${prefix}nodes/n`)).entry, undefined, "the wipe deleted it");
  assert.ok(source.index.get("nodes/n") !== undefined, "the reader keeps it, since its absence is unverified");
  assert.equal(source.verifiesAbsence(Kind.KIND_NODE), false);
  const before = listings();
  for (let i = 1; i < 10; i++) {
    part.change([slice(2, i, 7 + i)]);
    await until("the change is in", () => {
      const held = source.index.get(slice(2, i).key)?.hash;
      return source.isVerified() && held !== undefined && Buffer.from(held).equals(slice(2, i, 7 + i).hash);
    });
  }
  assert.equal(listings(), before);
  assert.deepEqual(deletes, [slice(2, 0).key]);

  // The version that knows nodes is back and has none: now absence means deletion.
  await second.stop();
  const third = runPublisher(store, part, { config: clusterConfig("older", 2) });
  await until("the node is gone", () => source.isVerified() && source.index.get("nodes/n") === undefined);
  await running.stop();
  await third.stop();
});
