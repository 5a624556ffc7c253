/** Two clusters on one store with mTLS and users, as in production: both publish, each follows the other. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { clusterPrefix, createStore, provisionCluster, provisionStore, type Store, StoreError } from "@isthmus/kvstore";
import { type EtcdServer, startCutProxy, startEtcd } from "@isthmus/kvstore/testing";
import { parseClusterId, parseClusterName, systemClock } from "@isthmus/model";
import { until } from "@isthmus/testing";
import {
  clusterConfig,
  createMemoryExport,
  openStore,
  runPublisher,
  untilPublished,
} from "../publish/testing/fixture.js";
import { peer, runSources, slice, slices, untilSame } from "./testing/fixture.js";

const provision = async (owner: Store): Promise<void> => {
  await provisionStore(owner);
  await provisionCluster(owner, parseClusterName("east"), parseClusterId(1));
  await provisionCluster(owner, parseClusterName("west"), parseClusterId(2));
};

let etcd: EtcdServer;
let owner: Store;

before(async () => {
  etcd = await startEtcd({ tls: true });
  owner = createStore(await etcd.options("root"));
  await provision(owner);
});
after(async () => {
  owner.close();
  await etcd.close();
});

async function runCluster(name: string, id: number, other: ReturnType<typeof peer>, port?: number) {
  const store = await openStore(etcd, name, port);
  const exported = createMemoryExport(slices(id, 300));
  const publisher = runPublisher(store, exported, { config: clusterConfig(name, id), allowOpenStore: false });
  const running = runSources(store, [other], systemClock, {});
  return {
    store,
    exported,
    publisher: publisher.publisher,
    source: running.source(other.id),
    async stop() {
      await running.stop();
      await publisher.stop();
      store.close();
    },
  };
}

test("each cluster has what the other exports, also after the store is wiped and provisioned again; writes as another cluster are refused", async () => {
  const east = await runCluster("east", 1, peer("west", 2, "uid-west"));
  const west = await runCluster("west", 2, peer("east", 1, "uid-east"));
  await untilSame(east.source, west.exported.table);
  await untilSame(west.source, east.exported.table);
  const deletes: string[] = [];
  for (const { source } of [east, west]) {
    source.index.onChange((delta) => deletes.push(...delta.deletes.map(({ key }) => key)));
  }
  const foreign = `${clusterPrefix(parseClusterName("west"))}slices/shop/cart/forged`;
  await assert.rejects(
    east.store.txn([], [{ type: "put", key: foreign, value: Buffer.from("x") }]),
    (thrown: unknown) => thrown instanceof StoreError && thrown.code === "STORE_DENIED",
  );
  await etcd.wipe(provision);
  east.exported.change([slice(1, 7, 7)]);
  west.exported.change([slice(2, 8, 8)]);
  await untilSame(east.source, west.exported.table);
  await untilSame(west.source, east.exported.table);
  assert.deepEqual(deletes, []);
  await Promise.all([east.stop(), west.stop()]);
});

test("a wiped store that is not provisioned again is not written, and nothing is deleted", async () => {
  const east = await runCluster("east", 1, peer("west", 2));
  const west = await runCluster("west", 2, peer("east", 1));
  await untilSame(east.source, west.exported.table);
  await etcd.wipe();
  await until("both refuse", () => [east, west].every(({ publisher }) => publisher.status().state === "Refused"));
  assert.equal(east.source.index.size, 300);
  await provision(owner);
  await untilSame(east.source, west.exported.table, 20_000);
  await Promise.all([east.stop(), west.stop()]);
});

test("the result of a txn that timed out is read from the head: nothing is written twice or lost", async () => {
  const proxy = await startCutProxy(etcd.port);
  const east = await runCluster("east", 1, peer("west", 2), proxy.port);
  await untilPublished(owner, "east", east.exported);
  proxy.setHeld(true);
  east.exported.change([slice(1, 1, 50)], [{ key: "slices/shop/cart/s2" }]);
  await until("the deadline passed", () => /exceeded|timed out/i.test(east.publisher.status().message), 10_000);
  east.exported.change([slice(1, 3, 51)]);
  proxy.setHeld(false);
  await untilPublished(owner, "east", east.exported);
  await until("live again", () => east.publisher.status().state === "Live");
  await east.stop();
  await proxy.close();
});
