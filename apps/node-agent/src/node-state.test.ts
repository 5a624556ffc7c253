import assert from "node:assert/strict";
import { test } from "node:test";
import { SourceStatus, type ToAgent } from "@isthmus/proto";
import {
  createMemoryKernel,
  createRecordSource,
  Killed,
  makeConfig,
  makeNode,
  makeNodeConfig,
  makeService,
  makeSlice,
  type RecordSource,
  SMALL_KERNEL,
} from "@isthmus/testing";
import { reportSource } from "./source-report.js";
import { decodeSnapshot, encodeSnapshot } from "./sync/snapshot.js";
import { startTestNode, stateOf, type TestNode } from "./testing-node.js";

const VIP = "10.96.0.10";

/** east: shop/cart, global, with two backends. */
function east(affinity: "none" | "local" | "remote" = "none"): RecordSource {
  const source = createRecordSource({ clusterId: 0 });
  source.change([
    makeService("shop/cart", { ip: VIP }),
    makeConfig("shop/cart", affinity),
    makeSlice("shop/cart", { ready: ["10.11.0.1", "10.11.0.2"], node: "n1" }),
    makeNode("n1", "172.18.0.1", "10.11.0.0/24"),
    makeNodeConfig("n1", "10.11.0.0/24"),
  ]);
  return source;
}

/** west: the same Service with one backend. */
function west(): RecordSource {
  const source = createRecordSource({ clusterId: 2 });
  source.change([makeService("shop/cart"), makeSlice("shop/cart", { ready: ["10.12.0.1"] })]);
  return source;
}

const ALL = ["1:10.11.0.1", "1:10.11.0.2", "2:10.12.0.1"];

async function synced(node: TestNode, ...sources: RecordSource[]): Promise<TestNode> {
  node.connect();
  await node.sync(...sources);
  return node;
}

test("two sources become one Service, and a change follows", async () => {
  const [own, other] = [east(), west()];
  const node = await synced(await startTestNode({ kernel: createMemoryKernel() }), own, other);
  assert.deepEqual(await node.backends(VIP), ALL);
  await node.receive(other.change([makeSlice("shop/cart", { ready: ["10.12.0.1", "10.12.0.2"] })]));
  assert.deepEqual(await node.backends(VIP), [...ALL, "2:10.12.0.2"]);
  assert.equal(node.nodeConfigs.length, 1);
  assert.deepEqual(node.acks.at(-1)?.position, other.position);
  assert.deepEqual(node.counted, []);
});

test("a source that syncs again from scratch is acknowledged when all of it is applied, not before", async () => {
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

test("a restarted agent with no server serves what the kernel served", async () => {
  const kernel = createMemoryKernel();
  await synced(await startTestNode({ kernel }), east(), west());
  const before = kernel.log.count;
  const node = await startTestNode({ kernel });
  assert.deepEqual(await node.backends(VIP), ALL);
  assert.equal(kernel.log.count, before);
});

test("restarted, the own source alone: a local change is applied, the remote share stays as it was", async () => {
  const kernel = createMemoryKernel();
  const [own, other] = [east(), west()];
  await synced(await startTestNode({ kernel }), own, other);
  own.change([makeSlice("shop/cart", { ready: ["10.11.0.7"] })]);
  const node = await startTestNode({ kernel });
  node.connect();
  await node.receive(stateOf(2, SourceStatus.SOURCE_STATUS_CONNECTING));
  await node.sync(own);
  assert.deepEqual(await node.backends(VIP), ["1:10.11.0.7", "2:10.12.0.1"]);
  await node.receive(own.change([makeSlice("shop/cart", { ready: [] })]));
  assert.deepEqual(await node.backends(VIP), ["2:10.12.0.1"]);
  other.change([makeSlice("shop/cart", { ready: ["10.12.0.9"] })]);
  await node.sync(other);
  assert.deepEqual(await node.backends(VIP), ["2:10.12.0.9"]);
});

test("restarted, the remote source first: nothing moves until the own one names the Services", async () => {
  const kernel = createMemoryKernel();
  const [own, other] = [east(), west()];
  await synced(await startTestNode({ kernel }), own, other);
  const node = await startTestNode({ kernel });
  node.connect();
  await node.sync(other);
  assert.deepEqual(await node.backends(VIP), ALL);
  await node.sync(own);
  assert.deepEqual(await node.backends(VIP), ALL);
});

test("restarted, the remote source alone: with the names on disk at the floor, its change is applied", async () => {
  const kernel = createMemoryKernel();
  const [own, other] = [east(), west()];
  await synced(await startTestNode({ kernel }), own, other);
  const snapshots = [decodeSnapshot(encodeSnapshot(0, own.position, own.table.records()))];
  const node = await startTestNode({ kernel, snapshots });
  node.connect();
  other.change([makeSlice("shop/cart", { ready: ["10.12.0.8"] })]);
  await node.sync(other);
  assert.deepEqual(await node.backends(VIP), ["1:10.11.0.1", "1:10.11.0.2", "2:10.12.0.8"]);
  own.change([makeSlice("shop/cart", { ready: ["10.11.0.3"] })]);
  await node.sync(own);
  assert.deepEqual(await node.backends(VIP), ["1:10.11.0.3", "2:10.12.0.8"]);
});

test("names on disk that are older than the floor are not used", async () => {
  const kernel = createMemoryKernel();
  const [own, other] = [east(), west()];
  const node = await synced(await startTestNode({ kernel }), own, other);
  const snapshots = [decodeSnapshot(encodeSnapshot(0, own.position, own.table.records()))];
  await node.receive(own.change([makeConfig("shop/cart", "none", false)]));
  assert.deepEqual(await node.backends(VIP), ALL.slice(0, 2));
  const next = await startTestNode({ kernel, snapshots });
  next.connect();
  await next.sync(other);
  assert.deepEqual(await next.backends(VIP), ALL.slice(0, 2));
});

test("what a source in sync does not have is removed; what nobody could say stays", async () => {
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

test("a pod deleted while its agent was down leaves the maps when the own source is in sync, and only it", async () => {
  const kernel = createMemoryKernel();
  const [own, other] = [east(), west()];
  await synced(await startTestNode({ kernel }), own, other);
  own.change([makeSlice("shop/cart", { ready: ["10.11.0.2"], node: "n1" })]);
  const node = await startTestNode({ kernel });
  assert.deepEqual(await node.backends(VIP), ALL);
  node.connect();
  await node.sync(other);
  assert.deepEqual(await node.backends(VIP), ALL);
  await node.sync(own);
  assert.deepEqual(await node.backends(VIP), ALL.slice(1));
  assert.equal(node.state.datapath.fill().find(({ map }) => map.startsWith("mesh_backends"))?.used, 2);
});

test("a stale source keeps everything, a removed one takes its backends along", async () => {
  const kernel = createMemoryKernel();
  const node = await synced(await startTestNode({ kernel }), east(), west());
  await node.receive(stateOf(2, SourceStatus.SOURCE_STATUS_STALE));
  assert.deepEqual(await node.backends(VIP), ALL);
  await node.receive(stateOf(2, SourceStatus.SOURCE_STATUS_REMOVED));
  assert.deepEqual(await node.backends(VIP), ALL.slice(0, 2));
});

test("a peer removed while the agent was down is removed when the server says so", async () => {
  const kernel = createMemoryKernel();
  const own = east();
  await synced(await startTestNode({ kernel }), own, west());
  const node = await startTestNode({ kernel });
  const hello = node.connect()?.message;
  assert.equal(hello?.$case, "hello");
  assert.deepEqual(hello?.$case === "hello" && hello.value.sources.map((source) => source.clusterId), [0, 2]);
  await node.sync(own);
  await node.receive(stateOf(2, SourceStatus.SOURCE_STATUS_REMOVED));
  assert.deepEqual(await node.backends(VIP), ALL.slice(0, 2));
});

test("a peer removed while the agent was down is removed also when that is said before the own source is there", async () => {
  for (const together of [false, true]) {
    const kernel = createMemoryKernel();
    const own = east();
    await synced(await startTestNode({ kernel }), own, west());
    const node = await startTestNode({ kernel });
    node.connect();
    const removed = stateOf(2, SourceStatus.SOURCE_STATUS_REMOVED);
    if (together) await node.receive(removed, stateOf(0), ...own.firstSync());
    else {
      await node.receive(removed);
      await node.sync(own);
    }
    assert.deepEqual(await node.backends(VIP), ALL.slice(0, 2), `together: ${together}`);
  }
});

test("killed before any write while a peer is removed, the next agent still asks about it or is done with it", async () => {
  for (let cut = 0, killed = true; killed; cut++) {
    const kernel = createMemoryKernel();
    const own = east();
    const dying = await synced(await startTestNode({ kernel }), own, west());
    killed = false;
    kernel.log.killBefore(cut);
    await dying.receive(stateOf(2, SourceStatus.SOURCE_STATUS_REMOVED)).catch((error: unknown) => {
      if (!(error instanceof Killed)) throw error;
      killed = true;
    });
    const node = await startTestNode({ kernel });
    const hello = node.connect()?.message;
    assert.equal(hello?.$case, "hello");
    // The server answers for every cluster that is asked about.
    const asked = hello?.$case === "hello" && hello.value.sources.some(({ clusterId }) => clusterId === 2);
    await node.sync(own);
    if (asked) await node.receive(stateOf(2, SourceStatus.SOURCE_STATUS_REMOVED));
    assert.deepEqual(await node.backends(VIP), ALL.slice(0, 2), `cut before write ${cut}`);
  }
});

test("a replica that lags behind the floor is not followed", async () => {
  const kernel = createMemoryKernel();
  const other = west();
  const lagging = other.firstSync();
  const node = await synced(await startTestNode({ kernel }), east(), other);
  await node.receive(other.change([makeSlice("shop/cart", { ready: ["10.12.0.2"] })]));
  const next = await startTestNode({ kernel });
  next.connect();
  await next.sync(east());
  await next.receive(stateOf(2), ...lagging);
  assert.deepEqual(await next.backends(VIP), ["1:10.11.0.1", "1:10.11.0.2", "2:10.12.0.2"]);
  assert.ok(next.counted.every((event) => event === "2:below-floor") && next.counted.length > 0);
});

test("moved to a server that is behind, nothing moves; once it has caught up its mark is enough", async () => {
  const other = west();
  const node = await synced(await startTestNode({ kernel: createMemoryKernel() }), east(), other);
  await node.receive(other.change([makeSlice("shop/cart", { ready: ["10.12.0.2"] })]));
  const behind = (is: boolean): ToAgent => ({
    message: {
      $case: "sourceState",
      value: { clusterId: 2, cluster: "west", status: SourceStatus.SOURCE_STATUS_LIVE, behind: is, hops: [] },
    },
  });
  const expected = ["1:10.11.0.1", "1:10.11.0.2", "2:10.12.0.2"];
  const hello = node.connect()?.message;
  assert.deepEqual(hello?.$case === "hello" && hello.value.sources.at(-1)?.have, other.position);
  await node.receive(behind(true));
  assert.deepEqual([await node.backends(VIP), reportSource(node.state.core.source(2), 1).state], [expected, "behind"]);
  await node.receive(behind(false), other.mark());
  assert.deepEqual([await node.backends(VIP), reportSource(node.state.core.source(2), 1).state], [expected, "live"]);
  assert.deepEqual([node.counted, node.sent], [[], []]);
});

test("a record that cannot be read is refused and counted; the others go on", async () => {
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

test("a delete and a re-creation that arrive together end in the last word", async () => {
  const own = east();
  const node = await synced(await startTestNode({ kernel: createMemoryKernel() }), own);
  const slice = makeSlice("shop/cart", { ready: ["10.11.0.5"] });
  await node.receive(own.change([], [slice]), own.change([slice]));
  assert.deepEqual(await node.backends(VIP), ["1:10.11.0.5"]);
  await node.receive(own.change([slice]), own.change([], [slice]));
  assert.deepEqual(await node.backends(VIP), []);
});

test("any order of messages of different sources reaches one state", async () => {
  const script = (): ToAgent[][] => {
    const [own, other] = [east("local"), west()];
    const first = [
      [stateOf(0), ...own.firstSync()],
      [stateOf(2), ...other.firstSync()],
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

test("after a reboot the disk snapshot is served, stale, until the source is in sync", async () => {
  const own = east();
  const file = encodeSnapshot(0, own.position, own.table.records());
  const node = await startTestNode({ kernel: createMemoryKernel(), snapshots: [decodeSnapshot(file)] });
  assert.deepEqual(await node.backends(VIP), ALL.slice(0, 2));
  const hello = node.connect()?.message;
  assert.deepEqual(hello?.$case === "hello" && hello.value.sources[0]?.have, own.position);
  await node.receive(stateOf(0), own.change([makeSlice("shop/cart", { ready: ["10.11.0.3"] })]), own.mark());
  assert.deepEqual(await node.backends(VIP), ["1:10.11.0.3"]);
  assert.equal(node.state.world.proven.has(1), true);
});

test("started with no server: from the kernel what has a floor, from disk only what has none, and none of it in sync", async () => {
  const kernel = createMemoryKernel();
  const [own, other] = [east(), west()];
  await synced(await startTestNode({ kernel }), own);
  const older = [own, other].map((source) => encodeSnapshot(source.clusterId, source.position, source.table.records()));
  const snapshots = older.map(decodeSnapshot);
  const node = await startTestNode({ kernel, snapshots });
  assert.deepEqual(await node.backends(VIP), ALL);
  const states = () => [...node.state.core.sources.values()].map((source) => reportSource(source, 1));
  assert.deepEqual(
    states().map(({ clusterId, proven, state }) => [clusterId, proven, state]),
    [
      [1, false, "kernel"],
      [2, false, "disk"],
    ],
  );
  assert.equal(node.state.complete(), false);
  const hello = node.connect()?.message;
  assert.deepEqual(
    hello?.$case === "hello" && hello.value.sources.map(({ clusterId, have }) => [clusterId, have?.revision]),
    [
      [0, undefined],
      [2, other.position.revision],
    ],
  );
  await node.receive(stateOf(2), other.mark());
  await node.sync(own);
  assert.deepEqual(
    states().map(({ state }) => state),
    ["live", "live"],
  );
  assert.deepEqual(await node.backends(VIP), ALL);
});

test("what is said of a source goes with it: stale, behind, repairing, syncing", async () => {
  const other = west();
  const node = await synced(await startTestNode({ kernel: createMemoryKernel() }), east(), other);
  const state = () => reportSource(node.state.core.source(2), 1).state;
  assert.equal(state(), "live");
  await node.receive(stateOf(2, SourceStatus.SOURCE_STATUS_STALE));
  assert.equal(state(), "stale");
  await node.receive({
    message: {
      $case: "sourceState",
      value: { clusterId: 2, cluster: "west", status: SourceStatus.SOURCE_STATUS_LIVE, behind: true, hops: [] },
    },
  });
  assert.equal(state(), "behind");
  assert.deepEqual(await node.backends(VIP), ALL);
  await node.receive(stateOf(2));
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

test("a disk snapshot is not used where the kernel has a floor", async () => {
  const kernel = createMemoryKernel();
  const own = east();
  const file = encodeSnapshot(0, own.position, own.table.records());
  await synced(await startTestNode({ kernel }), own);
  const node = await startTestNode({ kernel });
  await synced(node, own);
  await node.receive(own.change([], [makeSlice("shop/cart", {})]));
  const next = await startTestNode({ kernel, snapshots: [decodeSnapshot(file)] });
  assert.deepEqual(await next.backends(VIP), []);
});

test("killed before any write on the way, the next agent ends where a fresh one would", async () => {
  const expected = await (async () => {
    const [own, other] = [east("local"), west()];
    own.change([makeSlice("shop/cart", { ready: ["10.11.0.2", "10.11.0.3"] })]);
    const node = await synced(await startTestNode({ kernel: createMemoryKernel() }), own, other);
    return node.describe();
  })();
  let cuts = 0;
  for (let cut = 0; ; cut++) {
    const kernel = createMemoryKernel();
    const [own, other] = [east("local"), west()];
    const dying = await startTestNode({ kernel });
    kernel.log.killBefore(cut);
    let killed = false;
    const messages = [own.firstSync(), other.firstSync()];
    const change = own.change([makeSlice("shop/cart", { ready: ["10.11.0.2", "10.11.0.3"] })]);
    dying.connect();
    await dying.receive(stateOf(0), stateOf(2), ...messages.flat(), change).catch((error: unknown) => {
      if (!(error instanceof Killed)) throw error;
      killed = true;
    });
    const node = await startTestNode({ kernel });
    assert.ok(((await node.backends(VIP)) ?? []).every((backend) => backend !== "stale"));
    await synced(node, own, other);
    assert.deepEqual(await node.describe(), expected, `cut before write ${cut}`);
    cuts++;
    if (!killed) break;
  }
  assert.ok(cuts > 20, String(cuts));
});

test("what found no room is tried again when its time comes", async () => {
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

test("after a write that failed half way nothing more is written", async () => {
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
