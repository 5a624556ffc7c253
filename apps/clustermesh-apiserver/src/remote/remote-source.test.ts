/** A `RemoteSource` with a real etcd and the real publisher. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { clusterPrefix, type Store, type WatchMessage } from "@isthmus/kvstore";
import { startCutProxy, startEtcd } from "@isthmus/kvstore/testing";
import { parseClusterName, systemClock } from "@isthmus/model";
import { PeerState, RefusalReason } from "@isthmus/proto";
import type { IndexDelta } from "@isthmus/records";
import { until } from "@isthmus/testing";
import {
  clusterConfig,
  createMemoryExport,
  openStore,
  runPublisher,
  untilPublished,
} from "../publish/testing/fixture.js";
import type { RemoteSource } from "./remote-source.js";
import { node, peer, runSources, slice, slices, untilSame } from "./testing/fixture.js";

const etcd = await startEtcd();
const store = await openStore(etcd);
after(async () => {
  store.close();
  await etcd.close();
});

/** Collects the keys that a source deleted. */
function watchDeletes(source: RemoteSource): { deletes: string[]; deltas: IndexDelta[] } {
  const seen = { deletes: [] as string[], deltas: [] as IndexDelta[] };
  source.index.onChange((delta) => {
    seen.deltas.push(delta);
    for (const { key } of delta.deletes) seen.deletes.push(key);
  });
  return seen;
}

test("a source receives every published change with its origin time", async () => {
  const exported = createMemoryExport(slices(1, 500));
  const publisher = runPublisher(store, exported, { config: clusterConfig("one", 1) });
  const running = runSources(store, [peer("one", 1, "uid-one")]);
  const source = running.source(1);
  await untilSame(source, exported.table);
  const { deltas } = watchDeletes(source);
  for (let i = 0; i < 20; i++) {
    exported.change([slice(1, i, 1 + i)], [{ key: `slices/shop/cart/s${499 - i}` }]);
    await untilSame(source, exported.table);
  }
  assert.ok(
    deltas.every(
      ({ previous: from, position }, i) => i === 0 || (from !== undefined && from.revision < position.revision),
    ),
  );
  assert.ok(deltas.every(({ previous: from }, i) => i === 0 || from?.revision === deltas[i - 1]?.position.revision));
  assert.ok(deltas.every(({ observedMicros }) => observedMicros > 0));
  assert.equal(source.report().state, "InSync");
  assert.deepEqual(source.index.position?.storeId, publisher.publisher.status().storeId);
  await running.stop();
  await publisher.stop();
});

test("an invalid record is refused with a count and a sentence, counts in the sums, and does not affect other records", async () => {
  const exported = createMemoryExport(slices(2, 10));
  const publisher = runPublisher(store, exported, { config: clusterConfig("two", 2) });
  const running = runSources(store, [peer("two", 2)]);
  const source = running.source(2);
  await untilSame(source, exported.table);
  const wrong = { ...slice(3, 3), key: "slices/shop/cart/wrong" };
  exported.change([wrong, slice(2, 11)]);
  await until("the valid record is received", () => source.index.get("slices/shop/cart/s11") !== undefined);
  await until("the source is in sync, the refused record included", () => source.isVerified());
  assert.equal(source.index.get("slices/shop/cart/wrong"), undefined);
  assert.deepEqual(source.report().refused, [
    {
      ...{ reason: "address-outside-cidr", refusalReason: RefusalReason.REFUSAL_REASON_ADDRESS_OUTSIDE_CIDR },
      count: 1,
      example: 'Cannot use record "slices/shop/cart/wrong" of cluster "two": address 10.3.0.3 is outside its pod CIDRs',
    },
  ]);
  assert.equal(source.report().repairs, 0);
  running.sources.update([{ ...peer("two", 2), podCidrs: [...peer("two", 2).podCidrs, ...peer("x", 3).podCidrs] }]);
  await until(
    "the record is accepted after the operator allowed it",
    () => source.index.get("slices/shop/cart/wrong") !== undefined,
  );
  assert.deepEqual(source.report().refused, []);
  exported.change([], [wrong]);
  await untilSame(source, exported.table);
  await running.stop();
  await publisher.stop();
});

test("a connection cut within a fragmented backlog of over 4 MB loses no event", async () => {
  const exported = createMemoryExport(slices(4, 100));
  const publisher = runPublisher(store, exported, { config: clusterConfig("four", 4) });
  const proxy = await startCutProxy(etcd.port);
  const far = await openStore(etcd, "root", proxy.port);
  const running = runSources(far, [peer("four", 4)]);
  const source = running.source(4);
  await untilSame(source, exported.table);
  proxy.setOpen(false);
  for (let round = 1; round <= 10; round++) {
    exported.change(slices(4, 400, round, 2000), [{ key: `slices/shop/cart/s${round}` }]);
    await untilPublished(store, "four", exported);
  }
  proxy.setOpen(true);
  for (const bytes of [60_000, 1_900_000, 2_500_000]) await proxy.cutAfter(bytes);
  await untilSame(source, exported.table, 30_000);
  assert.equal(source.report().repairs, 0, "received by the watch only");
  await running.stop();
  await publisher.stop();
  far.close();
  await proxy.close();
});

test("a compaction during a listing causes another listing", async () => {
  const exported = createMemoryExport(slices(5, 5000));
  const publisher = runPublisher(store, exported, { config: clusterConfig("five", 5) });
  await untilPublished(store, "five", exported);
  let compacted = 0;
  const disturbed: Store = {
    ...store,
    async *list(prefix, options) {
      for await (const page of store.list(prefix, options)) {
        yield page;
        if (compacted++ > 0) continue;
        exported.change([slice(5, 1, 7)]);
        await untilPublished(store, "five", exported);
        const { revision } = await store.get("/");
        await store.transport.kv.compact({ revision: String(revision), physical: true });
      }
    },
  };
  const running = runSources(disturbed, [peer("five", 5)]);
  await untilSame(running.source(5), exported.table);
  assert.ok(compacted > 3, "the first listing was stopped after its first page");
  await running.stop();
  await publisher.stop();
});

test("a wiped store with the same names deletes nothing until its publisher is live again", async () => {
  const exported = createMemoryExport(slices(6, 800));
  const publisher = runPublisher(store, exported, { config: clusterConfig("six", 6) });
  const running = runSources(store, [peer("six", 6)]);
  const source = running.source(6);
  await untilSame(source, exported.table);
  const before = source.index.position;
  await publisher.stop();
  const { deletes } = watchDeletes(source);
  await etcd.wipe();
  await until("the wipe is noticed", () => source.report().message.includes("not published anything"));
  assert.equal(source.index.size, 800);
  assert.equal(source.status(), PeerState.PEER_STATE_SYNCING);
  exported.change([slice(6, 5, 1)], [{ key: "slices/shop/cart/s0" }]); // changed while no publisher ran
  const next = runPublisher(store, exported, { config: clusterConfig("six", 6) });
  await untilSame(source, exported.table);
  assert.deepEqual(deletes, ["slices/shop/cart/s0"]);
  assert.notDeepEqual(source.index.position?.storeId, before?.storeId);
  await running.stop();
  await next.stop();
});

test("a lost watch event is detected by the sums, counted, and repaired", async () => {
  const exported = createMemoryExport(slices(7, 50));
  const publisher = runPublisher(store, exported, { config: clusterConfig("seven", 7) });
  await untilPublished(store, "seven", exported);
  let dropped = 0;
  const losing: Store = {
    ...store,
    watch: (options, onNews) =>
      store.watch(options, (news: WatchMessage) => {
        if (news.type !== "events") return onNews(news);
        const events = news.events.filter(({ key }) => !key.endsWith("/s7") || dropped++ > 0);
        onNews({ ...news, events });
      }),
  };
  const running = runSources(losing, [peer("seven", 7)]);
  const source = running.source(7);
  await untilSame(source, exported.table);
  exported.change([slice(7, 7, 1)]);
  await until("the event was lost", () => dropped > 0);
  await untilSame(source, exported.table);
  assert.equal(source.report().repairs, 1);
  await running.stop();
  await publisher.stop();
});

test("a cluster with another uid than in its MeshPeer is refused, and followed once the MeshPeer is corrected", async () => {
  const exported = createMemoryExport(slices(8, 3));
  const publisher = runPublisher(store, exported, { config: clusterConfig("eight", 8) });
  await untilPublished(store, "eight", exported);
  const running = runSources(store, [peer("eight", 8, "another uid")]);
  const source = running.source(8);
  await until("it is refused", () => source.report().state === "Refused");
  assert.match(source.report().message, /uid is "uid-eight", its MeshPeer says "another uid"/);
  assert.equal(source.index.size, 0);
  running.sources.update([peer("eight", 8, "uid-eight")]);
  await untilSame(source, exported.table);
  await running.stop();
  await publisher.stop();
});

test("a peer with the id of the local cluster or of an earlier peer is refused", async () => {
  const running = runSources(store, [peer("east", 20), peer("west", 20), peer("self", 99)]);
  const reports = running.sources.list().map((source) => source.report());
  assert.deepEqual(reports.map(({ state }) => state).slice(1), ["Refused", "Refused"]);
  assert.equal(reports[1]?.message, 'Cannot follow cluster "west": its id 20 is already that of cluster "east"');
  assert.equal(reports[2]?.message, 'Cannot follow cluster "self": its id 99 is this cluster\'s own');
  await running.stop();
});

test("removal by the operator deletes records and sets status REMOVED; an unreachable store deletes nothing", async () => {
  const exported = createMemoryExport(slices(9, 10));
  const publisher = runPublisher(store, exported, { config: clusterConfig("nine", 9) });
  const proxy = await startCutProxy(etcd.port);
  const far = await openStore(etcd, "root", proxy.port);
  const running = runSources(far, [peer("nine", 9)]);
  const source = running.source(9);
  await untilSame(source, exported.table);
  const { deletes } = watchDeletes(source);
  proxy.setOpen(false);
  await until("the unreachable store is noticed", () => source.report().message !== "");
  assert.equal(source.index.size, 10);
  running.sources.update([]);
  assert.equal(source.status(), PeerState.PEER_STATE_REMOVED);
  assert.equal(source.index.size, 0);
  assert.equal(deletes.length, 10);
  assert.equal(running.sources.get(9), source, "it stays in the list, so that agents learn of the removal");
  await running.stop();
  await publisher.stop();
  far.close();
  await proxy.close();
});

test("an address belongs to the local cluster if it claims it, otherwise to the first claimant", async () => {
  const [ten, eleven] = [createMemoryExport([node(10, "a", "192.168.0.1")]), createMemoryExport()];
  const publishers = [
    runPublisher(store, ten, { config: clusterConfig("ten", 10) }),
    runPublisher(store, eleven, { config: clusterConfig("eleven", 11) }),
  ];
  const running = runSources(store, [peer("ten", 10), peer("eleven", 11)]);
  const [first, second] = [running.source(10), running.source(11)];
  await untilSame(first, ten.table);
  eleven.change([node(11, "b", "192.168.0.1"), node(11, "c", "192.168.0.3")]);
  await until("the second claim is refused", () => second.report().refused.length === 1);
  assert.ok(second.index.get("nodes/c") !== undefined && second.index.get("nodes/b") === undefined);
  ten.change([], [{ key: "nodes/a" }]);
  await until("the first peer released the address", () => second.index.get("nodes/b") !== undefined);
  const position = first.index.position;
  assert.ok(position !== undefined);
  running.localIndex.apply({ upserts: [node(99, "mine", "192.168.0.1")], deletes: [], position, observedMicros: 0 });
  await until("the local cluster takes precedence", () => second.index.get("nodes/b") === undefined);
  assert.match(second.report().refused[0]?.example ?? "", /address 192.168.0.1 belongs to another cluster/);
  await running.stop();
  for (const publisher of publishers) await publisher.stop();
});

test("unreadable keys, values and heads under a peer's prefix do not stop the reader", async () => {
  const exported = createMemoryExport(slices(15, 3));
  const publisher = runPublisher(store, exported, { config: clusterConfig("fifteen", 15) });
  await untilPublished(store, "fifteen", exported);
  await publisher.stop();
  const prefix = clusterPrefix(parseClusterName("fifteen"));
  const running = runSources(store, [peer("fifteen", 15)]);
  const source = running.source(15);
  await until("it is in sync", () => source.isVerified());
  const junk = Buffer.from([0xff, 0xff, 0xff]);
  const { kv } = store.transport;
  await kv.put({ key: Buffer.concat([Buffer.from(`${prefix}nodes/`), junk]), value: junk });
  await store.txn(
    [],
    ["nodes/UPPER", "slices/x", "head"].map((key) => ({ type: "put", key: prefix + key, value: junk })),
  );
  await until("it is not in sync", () => !source.isVerified());
  assert.equal(source.index.size, 3);
  assert.ok(source.report().refused.length > 0);
  const again = runPublisher(store, exported, { config: clusterConfig("fifteen", 15) });
  await untilPublished(store, "fifteen", exported);
  await until("in sync again", () => source.isVerified() && source.index.size === 3);
  await running.stop();
  await again.stop();
});

test("a client with a position of an unknown store is answered after a quorum read", async () => {
  const exported = createMemoryExport(slices(12, 3));
  const publisher = runPublisher(store, exported, { config: clusterConfig("twelve", 12) });
  const running = runSources(store, [peer("twelve", 12)]);
  const source = running.source(12);
  await untilSame(source, exported.table);
  assert.equal(await source.confirmStore(), "same");
  await publisher.stop();
  const key = `${clusterPrefix(parseClusterName("twelve"))}store`;
  await store.txn([], [{ type: "put", key, value: Buffer.alloc(16, 7) }]);
  await until("the new id is served", () => source.index.position?.storeId.equals(Buffer.alloc(16, 7)) === true);
  assert.equal(source.index.size, 3);
  await running.stop();
});

test("a silent publisher makes its source stale and deletes nothing", async () => {
  let late = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + late };
  const exported = createMemoryExport(slices(13, 5));
  const publishers = [13, 14].map((id) => runPublisher(store, exported, { config: clusterConfig(`silent-${id}`, id) }));
  const running = runSources(store, [peer("silent-13", 13), peer("silent-14", 14)], clock);
  await untilSame(running.source(13), exported.table);
  await until("both are in sync", () => running.source(14).isVerified());
  for (const publisher of publishers) await publisher.stop();
  late = 16_000;
  for (const id of [13, 14]) {
    assert.equal(running.source(id).status(), PeerState.PEER_STATE_STALE);
    assert.match(running.source(id).report().message, /has been silent for 16 s/);
  }
  assert.equal(running.source(13).index.size, 5);
  await running.stop();
});

test("two peers have a node with the same address: an update of the first peer's record does not change the owner", async () => {
  const names = [
    ["west", 21],
    ["north", 22],
  ] as const;
  const exports = names.map(([name, id]) => createMemoryExport([node(id, `${name}-1`, "192.168.0.1")]));
  const publishers = names.map(([name, id], i) =>
    runPublisher(store, exports[i] ?? createMemoryExport(), { config: clusterConfig(name, id) }),
  );
  const running = runSources(store, [peer("west", 21)]);
  const west = running.source(21);
  await until("west has the address", () => west.isVerified() && west.index.get("nodes/west-1") !== undefined);
  running.sources.update([peer("west", 21), peer("north", 22)]);
  const north = running.source(22);
  await until("north waits for it", () => north.isVerified() && north.report().refused.length === 1);
  const moved: string[] = [];
  for (const { index } of [west, north]) {
    index.onChange(({ upserts, deletes }) => moved.push(...[...upserts, ...deletes].map(({ key }) => key)));
  }
  exports[0]?.change([node(21, "west-1", "192.168.0.1", "zone-b")]);
  await until("the update is received", () => moved.includes("nodes/west-1"));
  // After a later change of both peers, any consequences of the update have happened.
  for (const [i, id] of [21, 22].entries()) exports[i]?.change([slice(id, 1)]);
  await until(
    "the later change of both is received",
    () => moved.filter((key) => key.startsWith("slices/")).length === 2,
  );
  assert.deepEqual(
    moved.filter((key) => key.startsWith("nodes/")),
    ["nodes/west-1"],
  );
  assert.deepEqual([west.report().refused.length, north.report().refused.length], [0, 1]);
  exports[0]?.change([], [{ key: "nodes/west-1" }]);
  await until("north has the address", () => north.index.get("nodes/north-1") !== undefined);
  await running.stop();
  for (const publisher of publishers) await publisher.stop();
});
