/**
 * A connect to a healthy backend far away is not moved: the first repeat of its SYN waits for three round trips (bpf/lib/timeout.h).
 * MESH_ROUND_TRIPS sets the number of connects (`make round-trip`: 10,000).
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { NodeRow, Proto } from "./gen/index.js";
import { joinByDelayLine } from "./testing/delay-line.js";
import { attachWire, makeServiceNode } from "./testing/service-node.js";

const VIP = "10.96.0.1";
const SERVICE = 7;
const FAR = 2;
const DELAY_MS = 75;
const CONNECTS = Number(process.env["MESH_ROUND_TRIPS"] ?? 600);
const AT_ONCE = 100;
/** A frame that is so much late makes three round trips of the others too short. */
const LATE_MS = 100;
const MOST_LATE = 3;

/** A node with a client, whose Service has two backends on another node, 75 ms away. */
async function makeFarService(t: TestContext) {
  const [near, far] = [await makeServiceNode(t), await makeServiceNode(t, { range: "10.2.0.0/16" })];
  const line = await joinByDelayLine(t, near.netns, far.netns, DELAY_MS);
  await attachWire(near, far, { one: "10.1.0.0/16", other: "10.2.0.0/16" });
  const client = await near.addPod("10.1.0.1");
  const ids: number[] = [];
  for (const address of ["10.2.0.1", "10.2.0.2"]) {
    const { sockets } = await far.addPod(address);
    const port = await sockets.server("tcp", 4, address, address);
    ids.push(near.write.backend({ index: ids.length + 1, address, port, node: FAR }));
  }
  await near.addService(SERVICE, VIP, 80, Proto.Tcp, [{ ids, tries: 1 }]);
  return { near, line, dial: () => client.sockets.dialAtOnce(VIP, 80, AT_ONCE, 4) };
}

test(`of ${CONNECTS} connects to backends 150 ms away none is moved, unless a round trip is thought to be shorter`, async (t) => {
  const { near, line, dial } = await makeFarService(t);
  const answers: Record<string, number> = {};
  const moved = () => near.counts()["moved"] ?? 0;
  for (let made = 0, late = 0; made < CONNECTS; made += AT_ONCE) {
    const before = moved();
    for (const [name, count] of Object.entries(await dial())) answers[name] = (answers[name] ?? 0) + count;
    const lateMs = line.takeLateMs();
    if (moved() === before) continue;
    // On a machine that was too busy to deliver frames in time, the backends really were further away.
    assert.ok(lateMs > LATE_MS && ++late <= MOST_LATE, `${moved() - before} of ${AT_ONCE} were moved`);
  }
  const [one = 0, other = 0] = [answers["10.2.0.1"], answers["10.2.0.2"]];
  assert.equal(one + other, CONNECTS);
  assert.ok(Math.min(one, other) > CONNECTS / 4, `${one} and ${other}`);
  const rttMs = near.rttUs(FAR) / 1000;
  assert.ok(rttMs >= 2 * DELAY_MS, `a round trip of ${rttMs} ms`);

  near.datapath.nodes.storeWord32(FAR, NodeRow.offsets.rttUs, 1000);
  const before = moved();
  const late = await dial();
  assert.equal(
    (late["10.2.0.1"] ?? 0) + (late["10.2.0.2"] ?? 0),
    AT_ONCE,
    "all are answered, by the first backend too",
  );
  assert.ok(moved() - before > AT_ONCE / 2, `${moved() - before} of ${AT_ONCE} were moved`);
});
