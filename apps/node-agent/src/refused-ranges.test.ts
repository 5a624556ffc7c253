/** When addresses in the Service ranges without a Service are refused, and in which order the ranges are written. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatPrefix } from "@isthmus/model";
import { PeerState, type ToAgent } from "@isthmus/proto";
import {
  createMemoryKernel,
  Killed,
  type MemoryKernel,
  makeNode,
  makeNodeConfig,
  makeService,
  makeSlice,
  type RecordSource,
} from "@isthmus/testing";
import { frontendOf } from "./datapath/testing/testbed.js";
import { sourceStateMessage, startTestNode, type TestNode } from "./testing/test-node.js";
import { east, synced, VIP, west } from "./testing/two-clusters.js";

const RANGE = "10.96.0.0/16";

function eastWithRange(...ranges: readonly string[]): RecordSource {
  const own = east();
  own.change([makeNodeConfig("n1", "10.11.0.0/24", ranges.length > 0 ? ranges : [RANGE])]);
  return own;
}

async function refused({ port }: Pick<TestNode, "port">): Promise<readonly string[]> {
  return (await port.serviceRanges.load()).map(formatPrefix);
}

function behind(isBehind: boolean): ToAgent {
  const status = PeerState.PEER_STATE_IN_SYNC;
  return {
    message: { $case: "sourceState", value: { clusterId: 0, cluster: "east", status, behind: isBehind, hops: [] } },
  };
}

test("the ranges are refused once the local cluster is in sync; another cluster in sync does not suffice", async () => {
  const node = await startTestNode({ kernel: createMemoryKernel() });
  await synced(node, west());
  assert.deepEqual(await refused(node), []);
  await node.sync(eastWithRange());
  assert.deepEqual(await refused(node), [RANGE]);
});

test("a setting turns it off, and removes the ranges that a previous agent refused", async () => {
  const kernel = createMemoryKernel();
  await synced(await startTestNode({ kernel }), eastWithRange());
  const node = await startTestNode({ kernel, refuseUnknownClusterIps: false });
  assert.deepEqual(await refused(node), [RANGE]);
  await synced(node, eastWithRange());
  assert.deepEqual(await refused(node), []);
});

test("an agent that missed changes of the local cluster refuses nothing; a lost stream alone changes nothing", async () => {
  const own = eastWithRange();
  const node = await synced(await startTestNode({ kernel: createMemoryKernel() }), own);
  await node.receive(behind(true));
  assert.deepEqual(await refused(node), []);
  await node.receive(behind(false));
  assert.deepEqual(await refused(node), [RANGE]);
  own.change([makeService("shop/lost", { ip: "10.96.0.77" })]);
  await node.receive(own.change([makeService("shop/after", { ip: "10.96.0.78" })])); // a gap: one batch never came
  assert.deepEqual(await refused(node), []);
  for (let answered = 0; answered < node.sent.length; answered++) {
    const asked = node.sent[answered]?.message;
    if (asked?.$case === "buckets") await node.receive(...own.answer(asked.value));
  }
  await node.receive(own.mark());
  assert.deepEqual(await refused(node), [RANGE]);
  node.state.core.step({ is: "closed" });
  await node.receive(sourceStateMessage(0));
  assert.deepEqual(await refused(node), [RANGE]);
});

test("ranges follow the node's configuration; a range with pods or nodes is not refused", async () => {
  const own = eastWithRange("10.96.0.0/16", "10.97.0.0/16");
  const node = await synced(await startTestNode({ kernel: createMemoryKernel() }), own);
  assert.deepEqual((await refused(node)).toSorted(), ["10.96.0.0/16", "10.97.0.0/16"]);
  await node.receive(own.change([makeNode("n9", "172.18.0.9", "10.97.3.0/24")]));
  assert.deepEqual(await refused(node), ["10.96.0.0/16"]);
  await node.receive(own.change([makeNodeConfig("n1", "10.11.0.0/24", ["10.98.0.0/16"])]));
  assert.deepEqual(await refused(node), ["10.98.0.0/16"]);
  await node.receive(own.change([makeNodeConfig("n1", "10.11.0.0/24")]));
  assert.deepEqual(await refused(node), []);
});

test("an agent killed before any write leaves no range refused without its frontends", async () => {
  const whole = createMemoryKernel();
  await synced(await startTestNode({ kernel: whole }), eastWithRange());
  for (let n = 0; n <= whole.log.count; n++) {
    const kernel = createMemoryKernel();
    await loadUntilKilled(kernel, n);
    const port = kernel.open();
    if ((await refused({ port })).length === 0) continue;
    assert.ok((await port.frontends.load()).has(frontendOf(VIP)), `killed before write ${n}`);
  }
});

async function loadUntilKilled(kernel: MemoryKernel, write: number): Promise<void> {
  const node = await startTestNode({ kernel });
  kernel.log.killBefore(write);
  await synced(node, eastWithRange()).catch((error: unknown) => {
    if (!(error instanceof Killed)) throw error;
  });
}

test("the address of a removed Service is refused; a range that found no room is retried", async () => {
  const own = eastWithRange();
  const kernel = createMemoryKernel();
  kernel.log.failWhen(({ map }) => (map === "mesh_service_ranges_v2" ? new Error("no room") : undefined));
  const node = await synced(await startTestNode({ kernel }), own);
  assert.deepEqual(await refused(node), []);
  assert.ok(node.state.datapath.status.errors.has(`service range ${RANGE}`));
  kernel.log.failWhen(undefined);
  await node.clock.advance(1000);
  await node.receive(own.change([], [makeService("shop/cart"), makeSlice("shop/cart", {})]));
  assert.deepEqual(await refused(node), [RANGE]);
  assert.equal(node.state.datapath.status.errors.size, 0);
  assert.equal((await node.port.frontends.load()).has(frontendOf(VIP)), false);
});

test("of more ranges than the list holds the first are refused; the others have an error until they are removed", async () => {
  const ranges = Array.from({ length: 9 }, (_, i) => `10.${96 + i}.0.0/16`);
  const own = eastWithRange(...ranges);
  const node = await synced(await startTestNode({ kernel: createMemoryKernel() }), own);
  assert.deepEqual(await refused(node), ranges.slice(0, 8));
  assert.deepEqual([...node.state.datapath.status.errors.keys()], ["service range 10.104.0.0/16"]);
  await node.receive(own.change([makeNodeConfig("n1", "10.11.0.0/24", ranges.slice(1))]));
  assert.deepEqual((await refused(node)).toSorted(), ranges.slice(1).toSorted());
  assert.equal(node.state.datapath.status.errors.size, 0);
  await node.receive(own.change([makeNodeConfig("n1", "10.11.0.0/24", ranges)]));
  await node.receive(own.change([makeNodeConfig("n1", "10.11.0.0/24", ranges.slice(0, 8))]));
  assert.equal(node.state.datapath.status.errors.size, 0);
});

test("a range whose removal failed has no error once it is wanted again", async () => {
  const own = eastWithRange();
  const kernel = createMemoryKernel();
  const node = await synced(await startTestNode({ kernel }), own);
  kernel.log.failWhen(({ map }) => (map === "mesh_service_ranges_v2" ? new Error("no memory") : undefined));
  await node.receive(behind(true));
  assert.deepEqual([...node.state.datapath.status.errors.keys()], [`service range ${RANGE}`]);
  kernel.log.failWhen(undefined);
  await node.receive(behind(false));
  assert.equal(node.state.datapath.status.errors.size, 0);
  assert.deepEqual(await refused(node), [RANGE]);
});
