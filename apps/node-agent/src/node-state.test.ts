import assert from "node:assert/strict";
import { test } from "node:test";
import { PeerState, type ToAgent } from "@isthmus/proto";
import {
  createMemoryKernel,
  createRecordSource,
  makeNode,
  makeService,
  makeSlice,
  SMALL_KERNEL,
} from "@isthmus/testing";
import { reportSource } from "./source-report.js";
import { sourceStateMessage, startTestNode } from "./testing/test-node.js";
import { ALL, east, synced, VIP, west } from "./testing/two-clusters.js";

test("two sources are merged into one Service, and a change is applied", async () => {
  const [own, other] = [east(), west()];
  const node = await synced(await startTestNode({ kernel: createMemoryKernel() }), own, other);
  assert.deepEqual(await node.backends(VIP), ALL);
  await node.receive(other.change([makeSlice("shop/cart", { ready: ["10.12.0.1", "10.12.0.2"] })]));
  assert.deepEqual(await node.backends(VIP), [...ALL, "2:10.12.0.2"]);
  assert.equal(node.nodeConfigs.length, 1);
  assert.deepEqual(node.acks.at(-1)?.position, other.position);
  assert.deepEqual(node.counted, []);
});

test("a source that repeats its first sync is acknowledged only when all of it is applied", async () => {
  const [own, other] = [east(), west()];
  const node = await synced(await startTestNode({ kernel: createMemoryKernel() }), own, other);
  const before = other.position;
  other.change([makeSlice("shop/cart", { ready: ["10.12.0.1", "10.12.0.2"] }), makeService("shop/other")]);
  node.connect();
  const messages = other.firstSync(1);
  const seen = node.acks.length;
  await node.receive(...messages.slice(0, -1));
  assert.deepEqual(await node.backends(VIP), [...ALL, "2:10.12.0.2"]);
  assert.deepEqual(node.acks.slice(seen), []);
  await node.receive(...messages.slice(-1));
  assert.deepEqual(
    node.acks.slice(seen).map(({ position }) => position),
    [other.position],
  );
  assert.notDeepEqual(before, other.position);
});

test("a source in sync removes what it does not have; backends of a cluster not in sync stay", async () => {
  const kernel = createMemoryKernel();
  const own = east();
  own.change([makeService("shop/old", { ip: "10.96.0.11" }), makeSlice("shop/old", { ready: ["10.11.0.8"] })]);
  await synced(await startTestNode({ kernel }), own, west());
  own.change([], [makeService("shop/old"), makeSlice("shop/old", {})]);
  const node = await startTestNode({ kernel });
  assert.deepEqual(await node.backends("10.96.0.11"), ["1:10.11.0.8"]);
  await synced(node, own);
  assert.equal(await node.backends("10.96.0.11"), undefined);
  assert.deepEqual(await node.backends(VIP), ALL);
});

test("a stale source keeps its backends, a removed source loses them", async () => {
  const kernel = createMemoryKernel();
  const node = await synced(await startTestNode({ kernel }), east(), west());
  await node.receive(sourceStateMessage(2, PeerState.PEER_STATE_STALE));
  assert.deepEqual(await node.backends(VIP), ALL);
  await node.receive(sourceStateMessage(2, PeerState.PEER_STATE_REMOVED));
  assert.deepEqual(await node.backends(VIP), ALL.slice(0, 2));
});

test("a record that cannot be read is refused and counted; the others are applied", async () => {
  const own = east();
  const node = await synced(await startTestNode({ kernel: createMemoryKernel() }), own);
  const broken = { ...makeSlice("shop/cart", { slice: "b" }), value: Buffer.from([0xff, 0xff]) };
  await node.receive(own.change([broken, makeSlice("shop/cart", { ready: ["10.11.0.9"] })]));
  assert.deepEqual(await node.backends(VIP), ["1:10.11.0.9"]);
  assert.deepEqual(
    node.counted,
    ["0:refused-record"].map((text) => text.replace("0:", "1:")),
  );
});

test("of a delete and a re-creation that arrive together the last one counts", async () => {
  const own = east();
  const node = await synced(await startTestNode({ kernel: createMemoryKernel() }), own);
  const slice = makeSlice("shop/cart", { ready: ["10.11.0.5"] });
  await node.receive(own.change([], [slice]), own.change([slice]));
  assert.deepEqual(await node.backends(VIP), ["1:10.11.0.5"]);
  await node.receive(own.change([slice]), own.change([], [slice]));
  assert.deepEqual(await node.backends(VIP), []);
});

test("any order of messages of different sources reaches the same state", async () => {
  const script = (): ToAgent[][] => {
    const [own, other] = [east("local"), west()];
    const first = [
      [sourceStateMessage(0), ...own.firstSync()],
      [sourceStateMessage(2), ...other.firstSync()],
    ];
    first[0]?.push(
      own.change([makeSlice("shop/cart", { ready: [] })]),
      own.change([makeService("shop/pay", { ip: "10.96.0.12" }), makeSlice("shop/pay", { ready: ["10.11.0.4"] })]),
      own.change([makeNode("n2", "172.18.0.2", "10.11.1.0/24")]),
    );
    first[1]?.push(
      other.change([makeSlice("shop/cart", { ready: ["10.12.0.2"], node: "w1" })]),
      other.change([makeNode("w1", "172.19.0.1", "10.12.0.0/24")]),
    );
    return first;
  };
  let expected: string[] | undefined;
  for (let seed = 1; seed <= 40; seed++) {
    const node = await startTestNode({ kernel: createMemoryKernel() });
    node.connect();
    const queues = script();
    let random = seed;
    while (queues.some((queue) => queue.length > 0)) {
      random = (Math.imul(random, 1103515245) + 12345) >>> 0;
      const queue = queues[(random >>> 16) & 1];
      const message = queue?.shift();
      if (message !== undefined) await node.receive(message);
    }
    const described = await node.describe();
    expected ??= described;
    assert.deepEqual(described, expected, `seed ${seed}`);
  }
  assert.ok(expected?.some((line) => line.includes("2:10.12.0.2")));
});

test("the reported state of a source follows its messages: stale, behind, repairing, syncing", async () => {
  const other = west();
  const node = await synced(await startTestNode({ kernel: createMemoryKernel() }), east(), other);
  const state = () => reportSource(node.state.core.source(2), 1).state;
  assert.equal(state(), "live");
  await node.receive(sourceStateMessage(2, PeerState.PEER_STATE_STALE));
  assert.equal(state(), "stale");
  await node.receive({
    message: {
      $case: "sourceState",
      value: { clusterId: 2, cluster: "west", status: PeerState.PEER_STATE_IN_SYNC, behind: true, hops: [] },
    },
  });
  assert.equal(state(), "behind");
  assert.deepEqual(await node.backends(VIP), ALL);
  await node.receive(sourceStateMessage(2));
  other.change([makeService("shop/lost")]);
  await node.receive(other.change([makeService("shop/next")]));
  assert.equal(state(), "repairing");
  node.connect();
  await node.receive(...other.firstSync(1).slice(0, 1));
  assert.equal(state(), "syncing");
  assert.equal(reportSource(node.state.core.source(7), 1).state, "waiting");
});

test("floors are written before any record of their batch", async () => {
  const kernel = createMemoryKernel();
  const [own, other] = [east(), west()];
  const node = await synced(await startTestNode({ kernel }), own, other);
  const writes: string[] = [];
  kernel.log.failWhen(({ map }) => void writes.push(map));
  await node.receive(
    own.change([makeSlice("shop/cart", { ready: ["10.11.0.9"] })]),
    other.change([makeSlice("shop/cart", { ready: ["10.12.0.9"] })]),
  );
  const floors = writes.flatMap((map, i) => (map.includes("floors") ? [i] : []));
  assert.ok(floors.length >= 2 && writes.length > floors.length, writes.join(" "));
  assert.deepEqual(
    floors,
    floors.map((_, i) => i),
  );
});

test("an object that found no room is retried when it is due", async () => {
  const kernel = createMemoryKernel({ ...SMALL_KERNEL, backends: 3 });
  const own = createRecordSource({ clusterId: 0 });
  own.change([makeService("a/one", { ip: "10.96.0.1" }), makeSlice("a/one", { ready: ["10.11.0.1", "10.11.0.2"] })]);
  own.change([makeService("a/two", { ip: "10.96.0.2" }), makeSlice("a/two", { ready: ["10.11.0.3"] })]);
  const node = await synced(await startTestNode({ kernel }), own);
  assert.equal(node.state.datapath.status.errors.size, 1);
  await node.receive(own.change([makeSlice("a/one", { ready: [] }), makeSlice("a/two", { ready: ["10.11.0.3"] })]));
  await node.clock.advance(1000);
  await node.state.applier.idle();
  assert.deepEqual([node.state.datapath.status.errors.size, await node.backends("10.96.0.2")], [0, ["1:10.11.0.3"]]);
});

test("after a failed write nothing more is written", async () => {
  const kernel = createMemoryKernel();
  const own = east();
  const node = await startTestNode({ kernel });
  node.connect();
  kernel.log.failWhen(({ what }) => (what === "word" ? new Error("input/output error") : undefined));
  await assert.rejects(node.sync(own), /input\/output error/);
  kernel.log.failWhen(undefined);
  const before = kernel.log.count;
  node.state.applier.kick();
  await node.state.applier.idle();
  assert.equal(kernel.log.count, before);
});
