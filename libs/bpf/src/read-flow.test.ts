/** Flows that the programs wrote, as they are shown. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { formatAddress, TCP, UDP } from "@isthmus/model";
import { createFlowReader, flowTime } from "./flows.js";
import { FlowFlag, FlowGen, FlowRow, Limit } from "./gen/index.js";
import { makePacket, TcpFlag } from "./testing/packets.js";
import { loadPodPrograms } from "./testing/pod-programs.js";

const A = { address: "10.1.0.9", ifindex: 1, mac: "02:00:00:00:0a:01", hostMac: "02:00:00:00:0a:02" };
const B = { ...A, address: "10.1.0.2", mac: "02:00:00:00:0b:01" };

function setUp(t: TestContext) {
  const programs = loadPodPrograms(t);
  programs.addPod(A);
  programs.addPod(B);
  programs.addRange("10.1.0.0/16", 1);
  const send = async (from: typeof A, to: typeof A, ports: readonly [number, number], protocol: number, flags = 0) => {
    const ends = { source: from.address, target: to.address, sourceMac: from.mac };
    const packet = makePacket({ ...ends, sourcePort: ports[0], targetPort: ports[1], protocol, flags });
    await programs.run("from_pod", packet, { ifindex: A.ifindex });
  };
  const table = programs.flowTable();
  const readFlow = createFlowReader(table.seed);
  const all = () => {
    const bytes = table.read(0, table.maxEntries);
    return Array.from({ length: table.maxEntries * Limit.FlowSet }, (_, i) =>
      readFlow(bytes, i * FlowRow.size, flowTime(process.hrtime.bigint())),
    ).filter((flow) => flow !== "unused");
  };
  return { programs, send, all };
}

test("a flow begins at the end that sent the first packet, whichever comes first in the key", async (t) => {
  for (const [from, to] of [
    [A, B],
    [B, A],
  ] as const) {
    const { send, all } = setUp(t);
    await send(from, to, [40_000, 80], TCP, TcpFlag.Syn);
    const [flow] = all();
    assert.ok(typeof flow === "object", String(flow));
    assert.deepEqual(
      [formatAddress(flow.source), flow.sourcePort, formatAddress(flow.destination), flow.destinationPort],
      [from.address, 40_000, to.address, 80],
    );
    assert.deepEqual([flow.state, flow.protocol, flow.flags & FlowFlag.Initiator], ["unanswered", TCP, 1]);
    assert.ok(flow.age <= 1, String(flow.age));
    await send(to, from, [80, 40_000], TCP, TcpFlag.Syn | TcpFlag.Ack);
    await send(from, to, [40_000, 80], TCP, TcpFlag.Ack);
    assert.deepEqual(
      all().map((each) => typeof each === "object" && each.state),
      ["established"],
    );
    await send(to, from, [80, 40_000], TCP, TcpFlag.Rst);
    assert.deepEqual(
      all().map((each) => typeof each === "object" && each.state),
      ["closing"],
    );
  }
});

test("a flow that is older than its row is picked up", async (t) => {
  const { send, all } = setUp(t);
  await send(A, B, [40_000, 80], TCP, TcpFlag.Ack);
  const [flow] = all();
  assert.ok(typeof flow === "object");
  for (const flags of [flow.flags, flow.answerFlags])
    assert.equal(flags & (FlowFlag.PickedUp | FlowFlag.ViaStack), FlowFlag.PickedUp | FlowFlag.ViaStack);
});

test("a row that is being written, and one whose words are of another flow, are no flow", async (t) => {
  const { programs, send, all } = setUp(t);
  await send(A, B, [40_000, 53], UDP);
  const [flow] = programs.flows();
  assert.ok(flow);
  programs.putFlow(flow.place, { ...flow.row, gen: FlowGen.Busy });
  assert.deepEqual(all(), ["busy"]);
  programs.putFlow(flow.place, { ...flow.row, gen: flow.row.gen + 1 });
  assert.deepEqual(all(), ["invalid"]);
  programs.putFlow(flow.place, { ...flow.row, key: { ...flow.row.key, pa: flow.row.key.pa ^ 1 } });
  assert.deepEqual(all(), ["invalid"]);
  const [a = 0n, b = 0n] = flow.row.word;
  for (const word of [
    [a, 0n],
    [0n, b],
  ]) {
    programs.putFlow(flow.place, { ...flow.row, word });
    assert.deepEqual(all(), ["invalid"]);
  }
  programs.putFlow(flow.place, { ...flow.row, seen: (flow.row.seen - 200) & 0xffff });
  const [old] = all();
  assert.ok(typeof old === "object" && old.state === "ended" && old.age >= 200);
});
