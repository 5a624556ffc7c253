/** Connects to a Service whose backend refuses them go to another one (bpf/lib/rescue.h), by real sockets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { waitFor } from "@isthmus/runtime";
import { addService, MECHANISMS, makeNode, makeNodes, SERVICE, VIP } from "./testing/rescue-nodes.js";
import type { ServiceNode } from "./testing/service-node.js";

/** Of `count` connects about this share was moved. */
function assertMoved(node: ServiceNode, count: number, share: number): void {
  const { moved = 0, move_failed } = node.counts();
  assert.ok(Math.abs(moved - count * share) < count * 0.25, `${moved} of ${count} connects were moved`);
  assert.equal(move_failed, undefined);
}

for (const mechanism of MECHANISMS)
  test(`${mechanism}: connects to a dead backend of the node go to the living one`, async (t) => {
    const { node, a, b, c } = await makeNode(t, mechanism);
    await addService(node, { b: [b, "alive"], c: [c, "dead"] });
    assert.deepEqual(await a.sockets.dial(VIP, 80, 200, 4), { b: 200 });
    assertMoved(node, 200, 0.5);
  });

test("a connect is moved twice when two of three backends are dead", async (t) => {
  const { node, a, b, c, d } = await makeNode(t);
  await addService(node, { b: [b, "dead"], c: [c, "alive"], d: [d, "dead"] });
  assert.deepEqual(await a.sockets.dial(VIP, 80, 200, 4), { c: 200 });
  assertMoved(node, 200, 1);
});

test("it is refused when all are dead, and leaves the port usable", async (t) => {
  const { node, a, b, c, d } = await makeNode(t);
  await addService(node, { b: [b, "dead"], c: [c, "dead"], d: [d, "dead"] });
  const socket = await a.sockets.open("tcp", 4);
  const port = await a.sockets.bind(socket, a.address);
  await assert.rejects(a.sockets.connect(socket, VIP, 80), { code: "ECONNREFUSED" });
  const { moved, move_exhausted } = node.counts();
  assert.deepEqual([moved, move_exhausted], [2, 1]);
  await a.sockets.close(socket);
  const alive = await b.sockets.server("tcp", 4, b.address, "b");
  node.write.service(SERVICE, [{ ids: [node.write.backend({ index: 9, address: b.address, port: alive })] }]);
  const again = await a.sockets.open("tcp", 4);
  await a.sockets.bind(again, a.address, port);
  await a.sockets.connect(again, VIP, 80);
  assert.equal((await a.sockets.receive(again)).data, "b");
});

test("of four backends in two tiers, the third move leaves the tier", async (t) => {
  const { node, a, b, c, d } = await makeNode(t);
  const e = await node.addPod("10.1.0.5");
  await addService(node, { b: [b, "dead"], c: [c, "dead"], d: [d, "dead"] }, { e: [e, "alive"] });
  assert.deepEqual(await a.sockets.dial(VIP, 80, 100, 4), { e: 100 });
  assert.equal(node.counts()["moved"], 300);
});

for (const [what, one, other] of [
  ["from another node to this one", "far", "near"],
  ["from this node to another", "near", "far"],
  ["from another node to another", "far", "far"],
] as const)
  test(`connects are moved ${what}`, async (t) => {
    const { near, far, a, b, c, d } = await makeNodes(t);
    const dead = one === "near" ? b : c;
    const alive = other === "near" ? b : d;
    await addService(near, { dead: [dead, "dead"], alive: [alive, "alive"] });
    assert.deepEqual(await a.sockets.dial(VIP, 80, 200, 4), { alive: 200 });
    assertMoved(near, 200, 0.5);
    assert.equal(far.counts()["moved"], undefined, "the client's node alone moves");
  });

test("the death of a backend under load ends what was established, and refuses nothing", async (t) => {
  const { near, a, b, c } = await makeNodes(t);
  await addService(near, { b: [b, "alive"], c: [c, "alive"] });
  const dialing = a.sockets.dial(VIP, 80, 3000, 4);
  await waitFor("500 connects", () => (near.counts()["connect"] ?? 0) > 500, { timeoutMs: 20_000 });
  await c.sockets.end();
  const { b: near_ = 0, c: far_ = 0, ended = 0 } = await dialing;
  assert.equal(near_ + far_ + ended, 3000);
  // One, and those that the kernel accepts until the process has ended.
  assert.ok(ended <= 5, `${ended} connections were established when the server died`);
  assert.ok(far_ > 0 && far_ < 2500 && (near.counts()["moved"] ?? 0) > 100);
});
