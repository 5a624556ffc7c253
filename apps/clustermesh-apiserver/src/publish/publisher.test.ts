/** The publisher against a real etcd. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { claimKey, clusterPrefix, type Store, type StoreEvent } from "@isthmus/kvstore";
import { startCutProxy, startEtcd } from "@isthmus/kvstore/testing";
import { parseClusterId, parseClusterName } from "@isthmus/model";
import { ClusterClaim, Head, HeadState } from "@isthmus/proto";
import { createRecordTable, kindOfKey, MAX_VALUE_BYTES, STORE_KINDS, sameSums } from "@isthmus/records";
import { nextTurn } from "@isthmus/runtime";
import { until } from "@isthmus/testing";
import {
  anyRecord,
  clusterConfig,
  createMemoryExport,
  openStore,
  readPublished,
  runPublisher,
  untilPublished,
} from "./testing/fixture.js";

const etcd = await startEtcd();
const store = await openStore(etcd);
after(async () => {
  store.close();
  await etcd.close();
});

const many = (count: number, value = "v") =>
  Array.from({ length: count }, (_, i) => anyRecord(`slices/shop/cart/s${i}`, `${value}${i}`));

/** All events under a prefix, by revision. */
async function watchAll(cluster: string) {
  const prefix = clusterPrefix(parseClusterName(cluster));
  const controller = new AbortController();
  const events: StoreEvent[] = [];
  const { revision } = await store.get(prefix);
  const over = store.watch({ prefix, from: revision + 1n, signal: controller.signal }, (news) => {
    if (news.type === "events") events.push(...news.events);
  });
  return {
    events,
    stop: () => {
      controller.abort();
      return over;
    },
    relative: (event: StoreEvent) => event.key.slice(prefix.length),
  };
}

test("a new cluster is loaded, becomes LIVE and follows changes; the sums are exact at every revision", async () => {
  const source = createMemoryExport(many(1000));
  const seen = await watchAll("east");
  const running = runPublisher(store, source, { config: clusterConfig("east", 1) });
  await untilPublished(store, "east", source);
  for (let i = 0; i < 50; i++) {
    source.change([anyRecord(`slices/shop/cart/s${i}`, `changed ${i}`)], [{ key: `slices/shop/cart/s${999 - i}` }]);
    await nextTurn();
  }
  source.change([anyRecord("nodes/n1", "node"), anyRecord("services/shop/cart", "service")]);
  await untilPublished(store, "east", source);
  assert.equal(running.publisher.status().state, "Live");
  assert.equal((await readPublished(store, "east")).head?.epoch, "of-a-test");
  await running.stop();
  await seen.stop();

  const table = createRecordTable();
  let live = 0;
  const byRevision = new Map<bigint, StoreEvent[]>();
  for (const event of seen.events)
    byRevision.set(event.modRevision, [...(byRevision.get(event.modRevision) ?? []), event]);
  for (const events of byRevision.values()) {
    let head: Head | undefined;
    for (const event of events) {
      const key = seen.relative(event);
      if (key === "head") head = Head.decode(event.value);
      else if (kindOfKey(key) !== undefined)
        event.type === "put" ? table.set(anyRecord(key, event.value)) : table.delete(key);
    }
    if (head?.state !== HeadState.HEAD_STATE_LIVE) {
      assert.equal(live, 0, "after LIVE every txn rewrites the head");
      continue;
    }
    live++;
    assert.ok(sameSums(head.sums, table.sums(STORE_KINDS)));
    assert.equal(seen.relative(events.at(-1) as StoreEvent), "head");
    assert.ok(events.length <= 128);
  }
  assert.ok(live > 2);
});

test("identities are written before services before slices, deletions in reverse, in one txn or in several", async () => {
  const source = createMemoryExport();
  const running = runPublisher(store, source, { config: clusterConfig("order", 2) });
  await untilPublished(store, "order", source);
  const seen = await watchAll("order");
  const records = ["slices/a/b/c", "services/a/b", "nodes/n", "identities/2097408"].map((key) => anyRecord(key, "v"));
  source.change(records);
  await untilPublished(store, "order", source);
  source.change([], records);
  await untilPublished(store, "order", source);
  await running.stop();
  await until("the watch has it", () => seen.events.filter(({ type }) => type === "delete").length === 4);
  await seen.stop();
  const keys = seen.events.map(seen.relative).filter((key) => key !== "head");
  const order = ["identities/2097408", "nodes/n", "services/a/b", "slices/a/b/c"];
  assert.deepEqual(keys, [...order, ...[...order].reverse()]);
});

test("keys that are deleted or modified externally are restored", async () => {
  const source = createMemoryExport(many(20));
  const running = runPublisher(store, source, { config: clusterConfig("heal", 3) });
  await untilPublished(store, "heal", source);
  const prefix = clusterPrefix(parseClusterName("heal"));
  await store.txn(
    [],
    [
      { type: "delete", key: `${prefix}slices/shop/cart/s1` },
      { type: "put", key: `${prefix}slices/shop/cart/s2`, value: Buffer.from("altered") },
      { type: "put", key: `${prefix}slices/shop/cart/extra`, value: Buffer.from("extra") },
      { type: "delete", key: `${prefix}config` },
    ],
  );
  await untilPublished(store, "heal", source);
  await until("the rest is healed, too", async () => {
    const [config, extra] = await Promise.all([
      store.get(`${prefix}config`),
      store.get(`${prefix}slices/shop/cart/extra`),
    ]);
    return config.entry !== undefined && extra.entry === undefined;
  });
  await store.txn(
    [],
    [
      { type: "delete", key: `${prefix}head` },
      { type: "delete", key: `${prefix}fence` },
    ],
  );
  await until("head and fence are back", async () => (await store.get(`${prefix}fence`)).entry !== undefined);
  await untilPublished(store, "heal", source);
  await running.stop();
});

test("a wiped store is filled again under a new id, with the same claim", async () => {
  const source = createMemoryExport(many(500));
  const running = runPublisher(store, source, { config: clusterConfig("wiped", 4) });
  await untilPublished(store, "wiped", source);
  const before = Buffer.from(running.publisher.status().storeId);
  await etcd.wipe();
  source.change([anyRecord("nodes/later", "v")]);
  await untilPublished(store, "wiped", source);
  const after = running.publisher.status().storeId;
  assert.equal(after.length, 16);
  assert.notDeepEqual(after, before);
  const claim = (await store.get(claimKey(parseClusterId(4)))).entry;
  assert.deepEqual(ClusterClaim.decode(claim?.value ?? Buffer.alloc(0)), { name: "wiped", uid: "uid-wiped" });
  await running.stop();
});

test("a restarted publisher stays live, writes only the difference, and keeps counting", async () => {
  const source = createMemoryExport(many(300));
  const first = runPublisher(store, source, { config: clusterConfig("again", 5) });
  await untilPublished(store, "again", source);
  const { head } = await readPublished(store, "again");
  await first.stop();
  source.change([anyRecord("slices/shop/cart/s7", "while away")]);
  const seen = await watchAll("again");
  const second = runPublisher(store, source, { config: clusterConfig("again", 5) });
  await untilPublished(store, "again", source);
  await second.stop();
  await until("the watch event", () => seen.events.some((event) => seen.relative(event) === "slices/shop/cart/s7"));
  await seen.stop();
  const heads = seen.events.filter((event) => seen.relative(event) === "head").map((event) => Head.decode(event.value));
  assert.ok(heads.every(({ state }) => state === HeadState.HEAD_STATE_LIVE));
  assert.ok(heads.every(({ seq }, i) => seq > (heads[i - 1]?.seq ?? head?.seq ?? 0n)));
  assert.deepEqual(
    seen.events.map(seen.relative).filter((key) => key.includes("/")),
    ["slices/shop/cart/s7"],
  );
});

test("of two publishers the fenced one writes nothing, and takes over when the other is silent", async () => {
  const proxy = await startCutProxy(etcd.port);
  const slow = await openStore(etcd, "root", proxy.port);
  const [oldSource, newSource] = [createMemoryExport(many(10, "old")), createMemoryExport(many(10, "new"))];
  const old = runPublisher(slow, oldSource, { config: clusterConfig("two", 6), instance: "old" });
  await untilPublished(store, "two", oldSource);
  proxy.setHeld(true); // the old publisher is paused with its next txn in flight
  oldSource.change([anyRecord("slices/shop/cart/s1", "written by the old one")]);
  const young = runPublisher(store, newSource, { config: clusterConfig("two", 6), instance: "young" });
  await untilPublished(store, "two", newSource);
  proxy.setHeld(false);
  await until("the old one knows", () => old.publisher.status().message.includes('"young"'));
  oldSource.change([anyRecord("slices/shop/cart/s2", "written by the old one")]);
  newSource.change([anyRecord("slices/shop/cart/s3", "written by the young one")]);
  await untilPublished(store, "two", newSource);
  assert.equal(old.publisher.status().state, "Off");
  await young.stop();
  await untilPublished(store, "two", oldSource, 30_000);
  assert.equal(old.publisher.status().state, "Live");
  await old.stop();
  slow.close();
  await proxy.close();
});

test("a txn whose answer was lost is identified by the head, and nothing is written twice or missed", async () => {
  const proxy = await startCutProxy(etcd.port);
  const flaky = await openStore(etcd, "root", proxy.port);
  const source = createMemoryExport(many(50));
  const running = runPublisher(flaky, source, { config: clusterConfig("flaky", 7) });
  await untilPublished(store, "flaky", source);
  for (let i = 0; i < 10; i++) {
    const cut = proxy.cutAfter(40 + 17 * i);
    source.change([anyRecord(`slices/shop/cart/s${i}`, `round ${i}`)], [{ key: `slices/shop/cart/s${49 - i}` }]);
    await cut;
    await untilPublished(store, "flaky", source);
  }
  const { head } = await readPublished(store, "flaky");
  await until("live again", () => running.publisher.status().state === "Live");
  assert.ok((head?.seq ?? 0n) > 10n);
  await running.stop();
  flaky.close();
  await proxy.close();
});

test("a writer that its watch does not tell of another one learns it from its next beat, which is rejected", async () => {
  let held = false;
  let rejected = 0;
  const heldBack: Store = {
    ...store,
    watch: (options, onMessage) => store.watch(options, (message) => (held ? undefined : onMessage(message))),
    async txn(compares, writes) {
      const result = await store.txn(compares, writes);
      if (!result.committed) rejected++;
      return result;
    },
  };
  const source = createMemoryExport(many(5));
  const config = clusterConfig("rival", 13);
  const first = runPublisher(heldBack, source, { config, instance: "first" });
  await untilPublished(store, "rival", source);
  const isQuiet = () => first.publisher.status().state === "Live" && first.publisher.status().beatAgeMs > 200;
  await until("no txn is in flight", isQuiet);
  const seen = await watchAll("rival");
  held = true;
  const before = rejected;
  const second = runPublisher(store, source, { config, instance: "second" }, true);
  await until("the second writes", async () => (await readPublished(store, "rival")).head?.writer === "second");
  await until("the first stands by", () => /"second" publishes/.test(first.publisher.status().message), 20_000);
  assert.equal(first.publisher.status().state, "Off");
  assert.equal(rejected, before + 1);
  await Promise.all([first.stop(), second.stop()]);
  await seen.stop();
  const writers = seen.events
    .filter((event) => seen.relative(event) === "head")
    .map(({ value }) => Head.decode(value).writer);
  assert.ok(writers.length > 0 && writers.every((writer) => writer === "second"), "the first wrote no head any more");
});

test("an id that another cluster has claimed is refused with a sentence", async () => {
  const source = createMemoryExport(many(1));
  const first = runPublisher(store, source, { config: clusterConfig("first", 8) });
  await untilPublished(store, "first", source);
  const second = runPublisher(store, source, { config: clusterConfig("second", 8) });
  await until("the second is refused", () => second.publisher.status().state === "Refused");
  assert.equal(
    second.publisher.status().message,
    'Cannot publish with cluster id 8: cluster "first" with uid "uid-first" has claimed it',
  );
  assert.equal((await readPublished(store, "second")).head, undefined);
  await Promise.all([first.stop(), second.stop()]);
});

test("an unreadable or over-long claim does not make the id free: it is reported, and not decoded", async () => {
  const key = claimKey(parseClusterId(12));
  for (const value of [Buffer.alloc(10, 0xff), ClusterClaim.encode({ name: "n".repeat(100_000), uid: "" }).finish()]) {
    await store.txn([], [{ type: "put", key, value }]);
    const running = runPublisher(store, createMemoryExport(many(1)), { config: clusterConfig("claimed", 12) });
    await until("a message in the status", () => running.publisher.status().message !== "");
    assert.match(
      running.publisher.status().message,
      /^Cannot read the claim of id 12: the stored value is not a valid claim; .*etcdctl del \/mesh\/v1\/ids\/12$/,
    );
    assert.equal((await readPublished(store, "claimed")).head, undefined);
    await running.stop();
  }
});

test("nothing is written to a store without authentication", async () => {
  const running = runPublisher(store, createMemoryExport(many(1)), {
    config: clusterConfig("open", 9),
    allowOpenStore: false,
  });
  await until("it is refused", () => running.publisher.status().state === "Refused");
  assert.match(running.publisher.status().message, /does not check who writes/);
  assert.equal((await store.get(claimKey(parseClusterId(9)))).entry, undefined);
  await running.stop();
});

test("a record that is too large is reported, and the others are published", async () => {
  const source = createMemoryExport(many(3));
  const running = runPublisher(store, source, { config: clusterConfig("large", 10) });
  await untilPublished(store, "large", source);
  source.change([anyRecord("slices/shop/cart/huge", Buffer.alloc(MAX_VALUE_BYTES + 1)), anyRecord("nodes/n", "v")]);
  source.table.delete("slices/shop/cart/huge");
  await untilPublished(store, "large", source);
  assert.match(running.publisher.status().message, /"slices\/shop\/cart\/huge"/);
  await running.stop();
});
