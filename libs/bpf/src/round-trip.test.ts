/**
 * A connect to a healthy backend far away is not moved: the first repeat of its SYN waits for three round trips (bpf/lib/timeout.h).
 * MESH_ROUND_TRIPS sets the number of connects (`make round-trip`: 10,000).
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { NodeRow, Proto } from "./gen/index.js";
import { joinByDelayLine } from "./testing/delay-line.js";
import { joinNodes, makeServiceNode } from "./testing/service-node.js";

const VIP = "10.96.0.1";
const SERVICE = 7;
const FAR = 2;
const DELAY_MS = 75;
const CONNECTS = Number(process.env["MESH_ROUND_TRIPS"] ?? 600);
const AT_ONCE = 100;

/** A node with a client, whose Service has two backends on another node, 75 ms away. */
async function makeFarService(t: TestContext) {
  const [near, far] = [await makeServiceNode(t), await makeServiceNode(t, { range: "10.2.0.0/16" })];
  const ranges = { one: "10.1.0.0/16", other: "10.2.0.0/16" };
  await joinNodes(near, far, ranges, (one, other) => joinByDelayLine(t, one, other, DELAY_MS));
  const client = await near.addPod("10.1.0.1");
  const ids: number[] = [];
  for (const address of ["10.2.0.1", "10.2.0.2"]) {
    const { sockets } = await far.addPod(address);
    const port = await sockets.server("tcp", 4, address, address);
    ids.push(near.write.backend({ index: ids.length + 1, address, port, node: FAR }));
  }
  await near.addService(SERVICE, VIP, 80, Proto.Tcp, [{ ids, tries: 1 }]);
  return { near, dial: () => client.sockets.dialAtOnce(VIP, 80, AT_ONCE, 4) };
}

test(`of ${CONNECTS} connects to backends 150 ms away none is moved`, async (t) => {
  const { near, dial } = await makeFarService(t);
  const answers: Record<string, number> = {};
  for (let i = 0; i < CONNECTS; i += AT_ONCE)
    for (const [name, count] of Object.entries(await dial())) answers[name] = (answers[name] ?? 0) + count;
  const [one = 0, other = 0] = [answers["10.2.0.1"], answers["10.2.0.2"]];
  assert.equal(one + other, CONNECTS);
  assert.ok(Math.min(one, other) > CONNECTS / 4, `${one} and ${other}`);
  assert.equal(near.counts()["moved"], undefined);
  const rttMs = near.rttUs(FAR) / 1000;
  assert.ok(rttMs >= 2 * DELAY_MS && rttMs < 4 * DELAY_MS, `a round trip of ${rttMs} ms`);
});

test("they are moved where a round trip is thought to be shorter, and the first backend still answers", async (t) => {
  const { near, dial } = await makeFarService(t);
  await dial();
  near.datapath.nodes.storeWord32(FAR, NodeRow.offsets.rttUs, 1000);
  const answers = await dial();
  assert.equal((answers["10.2.0.1"] ?? 0) + (answers["10.2.0.2"] ?? 0), AT_ONCE);
  const { moved = 0 } = near.counts();
  assert.ok(moved > AT_ONCE / 2, `${moved} were moved`);
});
