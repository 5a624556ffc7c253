/** A restarted agent leaves rows, tables and tier words of a cluster unchanged in the kernel until it is in sync. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BackendFlag, BackendRow, NodeRow, Rank, rankBit } from "@isthmus/bpf";
import { formatAddress } from "@isthmus/model";
import { PeerState, Slice } from "@isthmus/proto";
import { type HashedRecord, hashRecord } from "@isthmus/records";
import { createMemoryKernel, type MemoryKernel, makeNode, makeSlice, type RecordSource } from "@isthmus/testing";
import { readSnapshot, snapshotFile } from "./sync/testing/snapshot-file.js";
import { sourceStateMessage, startTestNode, type TestNode } from "./testing/test-node.js";
import { east, synced, west } from "./testing/two-clusters.js";

const MARK = rankBit(Rank.Down, 0);

/** The same slice with these weights, in the order of its backends. */
function weighted(record: HashedRecord, weights: readonly number[]): HashedRecord {
  const slice = Slice.decode(record.value);
  for (const [i, backend] of slice.backends.entries()) backend.weight = weights[i] ?? 0;
  return hashRecord(record.kind, record.key, Slice.encode(slice).finish());
}

/** West with two nodes, backends of different weights on both. */
function weightedWest(): RecordSource {
  const source = west();
  source.change([
    makeNode("w1", "172.19.0.1", "10.12.1.0/24"),
    makeNode("w2", "172.19.0.2", "10.12.2.0/24"),
    weighted(makeSlice("shop/cart", { ready: ["10.12.0.1", "10.12.0.2"], node: "w1" }), [3, 1]),
    makeSlice("shop/cart", { ready: ["10.12.0.3"], node: "w2", slice: "b" }),
  ]);
  return source;
}

/** The maps of all writes from now on, except floors. */
function writesOf(kernel: MemoryKernel): readonly string[] {
  const writes: string[] = [];
  kernel.log.failWhen(({ map }) => void (map.includes("floors") || writes.push(map)));
  return writes;
}

/** `address@tunnel` of every backend of cluster 2. */
function places(node: TestNode): string[] {
  const { backends, nodes } = node.port;
  const rows = Array.from({ length: backends.maxEntries }, (_, i) => BackendRow.decode(backends.read(i)));
  return rows
    .filter(({ id, cluster }) => id !== 0 && cluster === 2)
    .map((row) => `${formatAddress(row.addr)}@${formatAddress(NodeRow.decode(nodes.read(row.node)).tunnel)}`)
    .sort();
}

const PLACES = ["10.12.0.1@172.19.0.1", "10.12.0.2@172.19.0.1", "10.12.0.3@172.19.0.2"];

function markNode(node: TestNode, tunnel: string): number {
  const { nodes, nodeState } = node.port;
  for (let index = 1; index < nodes.maxEntries; index++) {
    const row = NodeRow.decode(nodes.read(index));
    if (row.id === 0 || formatAddress(row.tunnel) !== tunnel) continue;
    nodeState.storeWord32(index, 0, MARK);
    return index;
  }
  throw new Error(`no row of node ${tunnel}`);
}

const markOf = (node: TestNode, index: number) =>
  new DataView(node.port.nodeState.read(index).buffer).getUint32(0, true);

test("a restart with west out of sync writes none of its rows, lines or words, and keeps its node's rank", async () => {
  const kernel = createMemoryKernel();
  const [own, other] = [east(), weightedWest()];
  const before = await synced(await startTestNode({ kernel }), own, other);
  const marked = markNode(before, "172.19.0.2");
  const described = await before.describe();
  assert.deepEqual(places(before), PLACES);

  const node = await startTestNode({ kernel });
  const writes = writesOf(kernel);
  node.connect();
  await node.receive(sourceStateMessage(2, PeerState.PEER_STATE_CONNECTING));
  await node.sync(own);
  assert.deepEqual(writes, []);
  assert.deepEqual([places(node), await node.describe()], [PLACES, described]);
  assert.equal(markOf(node, marked), MARK);
  await node.sync(other);
  assert.deepEqual(writes, []);
  assert.deepEqual(places(node), PLACES);
});

test("a restart with the local source out of sync writes nothing of it", async () => {
  const kernel = createMemoryKernel();
  const [own, other] = [east(), weightedWest()];
  own.change([weighted(makeSlice("shop/cart", { ready: ["10.11.0.1", "10.11.0.2"], node: "n1" }), [2, 5])]);
  const described = await (await synced(await startTestNode({ kernel }), own, other)).describe();
  const snapshots = [readSnapshot(snapshotFile(0, own.position, own.table.records()))];
  const node = await startTestNode({ kernel, snapshots });
  const writes = writesOf(kernel);
  node.connect();
  await node.sync(other);
  assert.deepEqual(writes, []);
  assert.deepEqual(await node.describe(), described);
});

test("a backend that leaves a table and returns while its cluster is out of sync keeps its node", async () => {
  const kernel = createMemoryKernel();
  const [own, other] = [east("local"), weightedWest()];
  await synced(await startTestNode({ kernel }), own, other);
  const node = await startTestNode({ kernel });
  node.connect();
  await node.sync(own);
  const global = [...own.table.records()].filter(({ key }) => key.startsWith("service-configs/"));
  await node.receive(own.change([], global));
  assert.deepEqual(places(node), []);
  await node.receive(own.change(global));
  assert.deepEqual(places(node), PLACES);
});

test("the row of a node removed while the agent was down is freed, and its backends do not get the next node", async () => {
  const kernel = createMemoryKernel();
  const [own, other] = [east(), weightedWest()];
  await synced(await startTestNode({ kernel }), own, other);
  other.change([makeSlice("shop/cart", { ready: ["10.12.0.3"], slice: "b" })], [makeNode("w2", "172.19.0.2", "::/0")]);
  const node = await startTestNode({ kernel });
  await synced(node, own, other);
  await node.receive(other.change([makeNode("w9", "172.19.0.9", "10.12.9.0/24")]));
  assert.deepEqual(places(node), [...PLACES.slice(0, 2), "10.12.0.3@::"]);
});

test("a terminating backend stays terminating", async () => {
  const kernel = createMemoryKernel();
  const [own, other] = [east(), west()];
  own.change([makeSlice("shop/cart", { ready: [] })]);
  other.change([makeSlice("shop/cart", { terminating: ["10.12.0.1"] })]);
  await synced(await startTestNode({ kernel }), own, other);
  const node = await startTestNode({ kernel });
  const writes = writesOf(kernel);
  node.connect();
  await node.sync(own);
  assert.deepEqual(writes, []);
  const rows = Array.from({ length: 8 }, (_, i) => BackendRow.decode(node.port.backends.read(i)));
  assert.ok(rows.some(({ cluster, flags }) => cluster === 2 && flags === BackendFlag.Terminating));
});
