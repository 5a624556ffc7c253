import assert from "node:assert/strict";
import { test } from "node:test";
import { BackendRow, backendIndex, NodeRow, Rank, rankBit } from "@isthmus/bpf";
import { type Address, parseAddress } from "@isthmus/model";
import { createMemoryKernel, SMALL_KERNEL } from "@isthmus/testing";
import type { DesiredNode } from "../../desired/nodes/nodes.js";
import { frontendOf, makePlan, selectable, startBench } from "../testing/testbed.js";

const NONE = new Uint8Array(16) as Address;

function node(name: string, ip: string, cluster = 1): DesiredNode {
  return { name: `${cluster}/${name}`, cluster, tunnel: parseAddress(ip), health: NONE };
}

const DOWN = rankBit(Rank.Down, 0);

async function withNode(kernel = createMemoryKernel()) {
  const port = kernel.open();
  const bench = await startBench(port);
  const rowOf = async () => {
    const [found] = (await selectable(port, frontendOf("10.96.0.1"))) ?? [];
    return BackendRow.decode(port.backends.read(backendIndex(found?.id ?? 0)));
  };
  return { kernel, port, bench, rowOf, ...bench };
}

test("a backend gets its node's index, whichever of the two comes first", async () => {
  const { port, datapath, set, rowOf } = await withNode();
  await set([makePlan("a/a", "10.96.0.1", [["10.1.0.1@n1"]])]);
  assert.equal((await rowOf()).node, 0);
  datapath.touch({ nodes: [["1/n1", node("n1", "172.18.0.1")]] });
  await datapath.apply();
  const index = (await rowOf()).node;
  assert.equal(NodeRow.decode(port.nodes.read(index)).id, index);
});

test("a node's new address is a new row; the old one is freed with its rank, after the backends moved", async () => {
  const { port, datapath, set, rowOf } = await withNode();
  datapath.touch({ nodes: [["1/n1", node("n1", "172.18.0.1")]] });
  await set([makePlan("a/a", "10.96.0.1", [["10.1.0.1@n1"]])]);
  const before = (await rowOf()).node;
  port.nodeState.storeWord32(before, 0, DOWN);
  datapath.touch({ nodes: [["1/n1", node("n1", "172.18.0.9")]] });
  await datapath.apply();
  assert.notEqual((await rowOf()).node, before);
  await datapath.settled();
  assert.equal(NodeRow.decode(port.nodes.read(before)).id, 0);
  datapath.touch({ nodes: [["1/n2", node("n2", "172.18.0.2")]] });
  await datapath.apply();
  assert.equal(NodeRow.decode(port.nodes.read(before)).id, before); // used again
  assert.equal(new DataView(port.nodeState.read(before).buffer).getUint32(0, true), 0);
});

test("a node that takes a health address gets a row with it, and its backends follow", async () => {
  const { port, datapath, set, rowOf } = await withNode();
  datapath.touch({ nodes: [["1/n1", node("n1", "172.18.0.1")]] });
  await set([makePlan("a/a", "10.96.0.1", [["10.1.0.1@n1"]])]);
  const before = (await rowOf()).node;
  const health = parseAddress("10.1.0.254");
  datapath.touch({ nodes: [["1/n1", { ...node("n1", "172.18.0.1"), health }]] });
  await datapath.apply();
  const row = NodeRow.decode(port.nodes.read((await rowOf()).node));
  assert.deepEqual(row.health, new Uint8Array(health));
  assert.deepEqual(row.tunnel, new Uint8Array(parseAddress("172.18.0.1")));
  assert.equal(row.rttUs, 0);
  await datapath.settled();
  assert.equal(NodeRow.decode(port.nodes.read(before)).id, 0);
});

test("a fresh agent adopts rows and ranks, and frees nodes of a cluster only when it is in sync", async () => {
  const { kernel, port, datapath } = await withNode();
  datapath.touch({ nodes: [["1/n1", node("n1", "172.18.0.1")]] });
  datapath.touch({ nodes: [["2/w1", node("w1", "172.19.0.1", 2)]] });
  await datapath.apply();
  port.nodeState.storeWord32(1, 0, DOWN);
  const next = await withNode(kernel);
  next.datapath.touch({ nodes: [["1/n1", node("n1", "172.18.0.1")]] });
  next.datapath.touch({ sweepNodes: [1] });
  await next.datapath.apply();
  await next.datapath.settled();
  const ids = () => [1, 2].map((index) => NodeRow.decode(next.port.nodes.read(index)).id);
  assert.deepEqual(ids(), [1, 2]);
  assert.equal(new DataView(next.port.nodeState.read(1).buffer).getUint32(0, true), DOWN);
  next.datapath.touch({ sweepNodes: [2] });
  await next.datapath.apply();
  await next.datapath.settled();
  assert.deepEqual(ids(), [1, 0]);
});

test("an adopted backend that no record names yet is not assigned to the next node with its node's index", async () => {
  const { kernel, datapath, set } = await withNode();
  datapath.touch({ nodes: [["2/w1", node("w1", "172.19.0.1", 2)]] });
  await set([makePlan("a/a", "10.96.0.1", [["2:10.1.0.1@w1"]])]);
  const next = await withNode(kernel);
  assert.equal((await next.rowOf()).node, 1);
  next.datapath.touch({ sweepNodes: [2] });
  await next.datapath.apply();
  assert.equal((await next.rowOf()).node, 0);
  await next.datapath.settled();
  next.datapath.touch({ nodes: [["2/w2", node("w2", "172.19.0.2", 2)]] });
  await next.datapath.apply();
  assert.equal(NodeRow.decode(next.port.nodes.read(1)).id, 1);
  assert.equal((await next.rowOf()).node, 0);
});

test("a rank left at an index without a node is not inherited by the next node", async () => {
  const kernel = createMemoryKernel();
  kernel.open().nodeState.storeWord32(1, 0, DOWN);
  const { port, datapath } = await withNode(kernel);
  datapath.touch({ nodes: [["1/n1", node("n1", "172.18.0.1")]] });
  await datapath.apply();
  assert.equal(new DataView(port.nodeState.read(1).buffer).getUint32(0, true), 0);
});

test("nodes without a row have no index and an error, and get a row when there is room", async () => {
  const { datapath, rowOf, set } = await withNode(createMemoryKernel({ ...SMALL_KERNEL, nodes: 2 }));
  datapath.touch({ nodes: [["1/n1", node("n1", "172.18.0.1")]] });
  datapath.touch({ nodes: [["1/n2", node("n2", "172.18.0.2")]] });
  await set([makePlan("a/a", "10.96.0.1", [["10.1.0.1@n2"]])]);
  assert.equal(datapath.status.get("node 1/n2")?.state, "Error");
  assert.equal((await rowOf()).node, 0);
  datapath.touch({ nodes: [["1/n1", undefined]] });
  await datapath.apply();
  await datapath.settled();
  await datapath.apply();
  assert.equal(datapath.status.get("node 1/n2")?.state, "Done");
  assert.equal((await rowOf()).node, 1);
});
