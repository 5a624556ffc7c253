import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress } from "@isthmus/model";
import { Kind, type ToAgent } from "@isthmus/proto";
import type { HashedRecord } from "@isthmus/records";
import { nextTurn } from "@isthmus/runtime";
import { createMemoryKernel, createRecordSource, settle, until } from "@isthmus/testing";
import { makeEndpoint, makeIdentity, numberOf, shopLabels } from "@isthmus/node-policy/testing";
import { createEnforcedPods, ENFORCED_WAIT_MS } from "./enforced-pods.js";
import type { PodAttachment } from "./pods/index.js";
import { sourceStateMessage, startTestNode } from "./testing/test-node.js";

const ADDRESS = "10.1.1.5";
const WEB = numberOf(1, 256);
const IDENTITY = makeIdentity(WEB, shopLabels("east", { app: "web" }));
const POD: PodAttachment = {
  hostDevice: "mesh1",
  addresses: [parseAddress(ADDRESS)],
  containerId: "c1",
  interfaceName: "eth0",
  namespace: "shop",
  name: "web",
  uid: `uid-${ADDRESS}`,
};

/** A node whose server has these records; `outcome` is that of a wait for the pod. */
async function rig(...records: readonly HashedRecord[]) {
  const own = createRecordSource({ clusterId: 0 });
  own.change(records);
  const node = await startTestNode({ kernel: createMemoryKernel(), enforces: true });
  const controller = new AbortController();
  const state = { connected: true, outcome: "waits", timers: 0 };
  const wait = createEnforcedPods({
    ...{ core: node.state.core, changes: node.state.changes, signal: controller.signal },
    clock: {
      ...node.clock,
      delay(ms, signal) {
        state.timers++;
        return node.clock.delay(ms, signal);
      },
    },
    isEnforced: (address) => node.state.datapath.policy?.isReady(address) ?? false,
    connected: () => state.connected,
  });
  const begin = async () => {
    const macs = { mac: "02:00:00:00:00:01", hostMac: "02:00:00:00:00:02" };
    await node.pods.put({ address: parseAddress(ADDRESS), ifindex: 7, netnsId: undefined, ...macs });
    node.state.pods.attach(POD);
    const outcome = wait(POD).then(
      () => "enforced",
      ({ message }: Error) => message,
    );
    void outcome.then((text) => {
      state.outcome = text;
    });
    await quiet();
  };
  const quiet = async () => {
    await node.state.applier.idle();
    await settle();
  };
  return { own, node, controller, state, begin, quiet };
}

/** The Mark of a server that has no policies. */
function older({ message }: ToAgent): ToAgent {
  if (message?.$case !== "mark") return { message };
  const sums = message.value.sums.filter(({ kind }) => kind !== Kind.KIND_POLICY);
  return { message: { $case: "mark", value: { ...message.value, sums } } };
}

test("a pod is waited for until its endpoint and its identity are applied, in whatever order they come", async () => {
  for (const order of ["identity first", "endpoint first"]) {
    const { own, node, state, begin, quiet } = await rig();
    await node.sync(own);
    await begin();
    assert.equal(state.outcome, "waits");
    const parts = [IDENTITY, makeEndpoint(ADDRESS, WEB)];
    for (const record of order === "identity first" ? parts : parts.reverse()) {
      assert.equal(state.outcome, "waits", order);
      await node.receive(own.change([record]));
    }
    await quiet();
    assert.equal(state.outcome, "enforced", order);
  }
});

test("all pods of a node may wait at once: no leak is reported", async (t) => {
  const warnings: Error[] = [];
  const note = (warning: Error) => void warnings.push(warning);
  process.on("warning", note);
  t.after(() => process.off("warning", note));
  const { own, node, begin, controller } = await rig();
  await node.sync(own);
  for (let i = 0; i < 110; i++) await begin();
  await nextTurn();
  assert.deepEqual(warnings, []);
  controller.abort(new Error("over"));
});

test("what is applied for other pods does not begin a wait again", async () => {
  const { own, node, state, begin, quiet } = await rig(IDENTITY);
  await node.sync(own);
  await begin();
  for (let i = 0; i < 20; i++) {
    await node.receive(own.change([makeEndpoint(`10.1.1.${100 + i}`, WEB)]));
    await quiet();
  }
  assert.deepEqual([state.outcome, state.timers], ["waits", 1]);
  await node.receive(own.change([makeEndpoint(ADDRESS, WEB)]));
  await quiet();
  assert.equal(state.outcome, "enforced");
});

test("a record of another pod at the address is not enough", async () => {
  const { own, node, state, begin, quiet } = await rig(IDENTITY, makeEndpoint(ADDRESS, WEB, { uid: "another" }));
  await node.sync(own);
  await begin();
  assert.equal(state.outcome, "waits");
  await node.clock.advance(ENFORCED_WAIT_MS);
  await quiet();
  assert.match(
    state.outcome,
    /the apiserver has not sent the identity of 10\.1\.1\.5 and uid "uid-10\.1\.1\.5" in 15 s/,
  );
});

test("without an apiserver the pod is refused after a while, and the sentence says so", async () => {
  const { node, state, begin, quiet } = await rig();
  state.connected = false;
  await begin();
  await node.clock.advance(ENFORCED_WAIT_MS - 1);
  await quiet();
  assert.equal(state.outcome, "waits");
  await node.clock.advance(1);
  await quiet();
  assert.match(state.outcome, /^Cannot enforce policy for the pod yet: no apiserver is connected/);
});

test("a server that has no policies is not waited for, as soon as it is known", async () => {
  const { own, node, state, begin, quiet } = await rig();
  await begin();
  assert.equal(state.outcome, "waits");
  await node.receive(sourceStateMessage(0), ...own.firstSync().map(older));
  await quiet();
  assert.equal(state.outcome, "enforced");
});

test("an agent that ends ends the wait", async () => {
  const { controller, state, begin } = await rig();
  await begin();
  controller.abort();
  await until("end", () => state.outcome !== "waits");
  assert.equal(state.outcome, "Cannot enforce policy for the pod yet: the agent ends");
});
