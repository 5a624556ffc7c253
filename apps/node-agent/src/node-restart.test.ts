import assert from "node:assert/strict";
import { test } from "node:test";
import { PeerState, type ToAgent } from "@isthmus/proto";
import { createMemoryKernel, Killed, makeConfig, makeService, makeSlice } from "@isthmus/testing";
import { reportSource } from "./source-report.js";
import { readSnapshot, snapshotFile } from "./sync/testing/snapshot-file.js";
import { sourceStateMessage, startTestNode } from "./testing/test-node.js";
import { ALL, east, synced, VIP, west } from "./testing/two-clusters.js";

test("a restarted agent with no server serves what the kernel served", async () => {
  const kernel = createMemoryKernel();
  await synced(await startTestNode({ kernel }), east(), west());
  const before = kernel.log.count;
  const node = await startTestNode({ kernel });
  assert.deepEqual(await node.backends(VIP), ALL);
  assert.equal(kernel.log.count, before);
});

test("after a restart with only the local source in sync, local changes are applied and remote backends stay", async () => {
  const kernel = createMemoryKernel();
  const [own, other] = [east(), west()];
  await synced(await startTestNode({ kernel }), own, other);
  own.change([makeSlice("shop/cart", { ready: ["10.11.0.7"] })]);
  const node = await startTestNode({ kernel });
  node.connect();
  await node.receive(sourceStateMessage(2, PeerState.PEER_STATE_CONNECTING));
  await node.sync(own);
  assert.deepEqual(await node.backends(VIP), ["1:10.11.0.7", "2:10.12.0.1"]);
  await node.receive(own.change([makeSlice("shop/cart", { ready: [] })]));
  assert.deepEqual(await node.backends(VIP), ["2:10.12.0.1"]);
  other.change([makeSlice("shop/cart", { ready: ["10.12.0.9"] })]);
  await node.sync(other);
  assert.deepEqual(await node.backends(VIP), ["2:10.12.0.9"]);
});

test("after a restart with the remote source first, nothing changes until the local source is in sync", async () => {
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

test("after a restart with only the remote source in sync, its changes are applied if the disk snapshot is at the floor", async () => {
  const kernel = createMemoryKernel();
  const [own, other] = [east(), west()];
  await synced(await startTestNode({ kernel }), own, other);
  const snapshots = [readSnapshot(snapshotFile(0, own.position, own.table.records()))];
  const node = await startTestNode({ kernel, snapshots });
  node.connect();
  other.change([makeSlice("shop/cart", { ready: ["10.12.0.8"] })]);
  await node.sync(other);
  assert.deepEqual(await node.backends(VIP), ["1:10.11.0.1", "1:10.11.0.2", "2:10.12.0.8"]);
  own.change([makeSlice("shop/cart", { ready: ["10.11.0.3"] })]);
  await node.sync(own);
  assert.deepEqual(await node.backends(VIP), ["1:10.11.0.3", "2:10.12.0.8"]);
});

test("Services of a disk snapshot that is older than the floor are not used", async () => {
  const kernel = createMemoryKernel();
  const [own, other] = [east(), west()];
  const node = await synced(await startTestNode({ kernel }), own, other);
  const snapshots = [readSnapshot(snapshotFile(0, own.position, own.table.records()))];
  await node.receive(own.change([makeConfig("shop/cart", "none", false)]));
  assert.deepEqual(await node.backends(VIP), ALL.slice(0, 2));
  const next = await startTestNode({ kernel, snapshots });
  next.connect();
  await next.sync(other);
  assert.deepEqual(await next.backends(VIP), ALL.slice(0, 2));
});

test("a pod deleted while the agent was down leaves the maps only when the local source is in sync", async () => {
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

test("a peer removed while the agent was down is removed when the server reports it", async () => {
  const kernel = createMemoryKernel();
  const own = east();
  await synced(await startTestNode({ kernel }), own, west());
  const node = await startTestNode({ kernel });
  const hello = node.connect()?.message;
  assert.equal(hello?.$case, "hello");
  assert.deepEqual(hello?.$case === "hello" && hello.value.sources.map((source) => source.clusterId), [0, 2]);
  await node.sync(own);
  await node.receive(sourceStateMessage(2, PeerState.PEER_STATE_REMOVED));
  assert.deepEqual(await node.backends(VIP), ALL.slice(0, 2));
});

test("a peer removed while the agent was down is removed also if reported before the local source is in sync", async () => {
  for (const together of [false, true]) {
    const kernel = createMemoryKernel();
    const own = east();
    await synced(await startTestNode({ kernel }), own, west());
    const node = await startTestNode({ kernel });
    node.connect();
    const removed = sourceStateMessage(2, PeerState.PEER_STATE_REMOVED);
    if (together) await node.receive(removed, sourceStateMessage(0), ...own.firstSync());
    else {
      await node.receive(removed);
      await node.sync(own);
    }
    assert.deepEqual(await node.backends(VIP), ALL.slice(0, 2), `together: ${together}`);
  }
});

test("an agent killed before any write of a peer's removal: the next one asks for the peer or has removed it", async () => {
  for (let cut = 0, killed = true; killed; cut++) {
    const kernel = createMemoryKernel();
    const own = east();
    const dying = await synced(await startTestNode({ kernel }), own, west());
    killed = false;
    kernel.log.killBefore(cut);
    await dying.receive(sourceStateMessage(2, PeerState.PEER_STATE_REMOVED)).catch((error: unknown) => {
      if (!(error instanceof Killed)) throw error;
      killed = true;
    });
    const node = await startTestNode({ kernel });
    const hello = node.connect()?.message;
    assert.equal(hello?.$case, "hello");
    // The server answers for every cluster that is asked about.
    const asked = hello?.$case === "hello" && hello.value.sources.some(({ clusterId }) => clusterId === 2);
    await node.sync(own);
    if (asked) await node.receive(sourceStateMessage(2, PeerState.PEER_STATE_REMOVED));
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
  await next.receive(sourceStateMessage(2), ...lagging);
  assert.deepEqual(await next.backends(VIP), ["1:10.11.0.1", "1:10.11.0.2", "2:10.12.0.2"]);
  assert.ok(next.counted.every((event) => event === "2:below-floor") && next.counted.length > 0);
});

test("on a server that is behind nothing changes; once it has caught up its mark is enough", async () => {
  const other = west();
  const node = await synced(await startTestNode({ kernel: createMemoryKernel() }), east(), other);
  await node.receive(other.change([makeSlice("shop/cart", { ready: ["10.12.0.2"] })]));
  const behind = (is: boolean): ToAgent => ({
    message: {
      $case: "sourceState",
      value: { clusterId: 2, cluster: "west", status: PeerState.PEER_STATE_IN_SYNC, behind: is, hops: [] },
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

test("after a reboot the disk snapshot is served until the source is in sync", async () => {
  const own = east();
  const file = snapshotFile(0, own.position, own.table.records());
  const node = await startTestNode({ kernel: createMemoryKernel(), snapshots: [readSnapshot(file)] });
  assert.deepEqual(await node.backends(VIP), ALL.slice(0, 2));
  const hello = node.connect()?.message;
  assert.deepEqual(hello?.$case === "hello" && hello.value.sources[0]?.have, own.position);
  await node.receive(sourceStateMessage(0), own.change([makeSlice("shop/cart", { ready: ["10.11.0.3"] })]), own.mark());
  assert.deepEqual(await node.backends(VIP), ["1:10.11.0.3"]);
  assert.equal(node.state.meshState.clustersInSync.has(1), true);
});

test("without a server, sources with a floor start from the kernel, others from disk, and none is in sync", async () => {
  const kernel = createMemoryKernel();
  const [own, other] = [east(), west()];
  await synced(await startTestNode({ kernel }), own);
  const older = [own, other].map((source) => snapshotFile(source.clusterId, source.position, source.table.records()));
  const snapshots = older.map(readSnapshot);
  const node = await startTestNode({ kernel, snapshots });
  assert.deepEqual(await node.backends(VIP), ALL);
  const states = () => [...node.state.core.sources.values()].map((source) => reportSource(source, 1));
  assert.deepEqual(
    states().map(({ clusterId, wasInSync, state }) => [clusterId, wasInSync, state]),
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
  await node.receive(sourceStateMessage(2), other.mark());
  await node.sync(own);
  assert.deepEqual(
    states().map(({ state }) => state),
    ["live", "live"],
  );
  assert.deepEqual(await node.backends(VIP), ALL);
});

test("a disk snapshot is not used where the kernel has a floor", async () => {
  const kernel = createMemoryKernel();
  const own = east();
  const file = snapshotFile(0, own.position, own.table.records());
  await synced(await startTestNode({ kernel }), own);
  const node = await startTestNode({ kernel });
  await synced(node, own);
  await node.receive(own.change([], [makeSlice("shop/cart", {})]));
  const next = await startTestNode({ kernel, snapshots: [readSnapshot(file)] });
  assert.deepEqual(await next.backends(VIP), []);
});

test("after an agent was killed before any write, the next one reaches the state of a fresh start", async () => {
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
    await dying
      .receive(sourceStateMessage(0), sourceStateMessage(2), ...messages.flat(), change)
      .catch((error: unknown) => {
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

test("what was restored from disk is applied once the node's state is there, however long another source takes", async () => {
  const [own, large] = [east(), west()];
  large.change(Array.from({ length: 20_000 }, (_, i) => makeService(`shop/s${i}`)));
  const snapshots = [own, large].map((source, i) =>
    readSnapshot(snapshotFile(2 * i, source.position, source.table.records())),
  );
  const calls: string[] = [];
  await startTestNode({
    kernel: createMemoryKernel(),
    snapshots,
    routes: () => void calls.push("routes"),
    created: () => void calls.push("created"),
  });
  assert.deepEqual([calls[0], calls.includes("routes")], ["created", true]);
});
