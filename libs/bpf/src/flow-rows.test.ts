/** Which flow loses its row to a new one when its set is full (bpf/lib/conntrack.h). */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { TCP, UDP } from "@isthmus/model";
import { Limit } from "./gen/index.js";
import { makePacket, TcpFlag } from "./testing/packets.js";
import { loadPodPrograms } from "./testing/pod-programs.js";
import { TcAction } from "./testing/skb-run.js";

const A = { address: "10.1.0.1", ifindex: 1, mac: "02:00:00:00:0a:01", hostMac: "02:00:00:00:0a:02" };
const B = { ...A, address: "10.1.0.2", mac: "02:00:00:00:0b:01" };
const SYN_ACK = TcpFlag.Syn | TcpFlag.Ack;
const FIN_ACK = TcpFlag.Fin | TcpFlag.Ack;
/** Flows that fill a set but for one row. */
const OTHERS = Limit.FlowSet - 1;
/** More than pass while a test runs. */
const MARGIN = 60;

/** One set of rows, and flows between A and B, each known by the port of A. */
function setUp(t: TestContext) {
  const programs = loadPodPrograms(t, { flows: Limit.FlowSet });
  programs.addPod(A);
  programs.addPod(B);
  programs.addRange("10.1.0.0/16", 1);

  const send = (port: number, proto: number, flags: number) => run(A, B, port, 80, proto, flags);
  const answer = (port: number, proto: number, flags: number) => run(B, A, 80, port, proto, flags);

  async function run(
    from: typeof A,
    to: typeof A,
    sourcePort: number,
    targetPort: number,
    proto: number,
    flags: number,
  ) {
    const ends = { source: from.address, target: to.address, sourceMac: from.mac, sourcePort, targetPort };
    const { action } = await programs.run("from_pod", makePacket({ ...ends, protocol: proto, flags }), {
      ifindex: A.ifindex,
    });
    return action;
  }

  /** What a flow may be. Each makes one, with its first packet past the stack. */
  const make = {
    async syn(port: number) {
      assert.equal(await send(port, TCP, TcpFlag.Syn), TcAction.Redirect);
    },
    async halfOpen(port: number) {
      await make.syn(port);
      await answer(port, TCP, SYN_ACK);
    },
    async established(port: number) {
      await make.halfOpen(port);
      await send(port, TCP, TcpFlag.Ack);
    },
    async reset(port: number) {
      await make.established(port);
      await answer(port, TCP, TcpFlag.Rst);
    },
    async closed(port: number) {
      await make.established(port);
      await send(port, TCP, FIN_ACK);
      await answer(port, TCP, FIN_ACK);
    },
    async datagram(port: number) {
      assert.equal(await send(port, UDP, 0), TcAction.Redirect);
    },
    async answeredDatagram(port: number) {
      await make.datagram(port);
      await answer(port, UDP, 0);
    },
  };
  const portOf = (key: { pa: number; pb: number }) => (key.pa === 80 ? key.pb : key.pa);

  return {
    make,
    send,
    evicted: () => programs.counts()["flow_evicted"] ?? 0,
    counts: () => programs.counts(),
    /** Ports of A of the flows that have rows, in order. */
    ports: () =>
      programs
        .flows()
        .map(({ row }) => portOf(row.key))
        .sort((a, b) => a - b),
    /** Makes a flow's last packet older. */
    age(port: number, units: number) {
      const flow = programs.flows().find(({ row }) => portOf(row.key) === port);
      assert.ok(flow);
      programs.putFlow(flow.place, { ...flow.row, seen: (flow.row.seen - units) & 0xffff });
    },
  };
}

const range = (first: number, count: number) => Array.from({ length: count }, (_, i) => first + i);
type Kind = keyof ReturnType<typeof setUp>["make"];

/** From the one that loses its row first to the one that keeps it longest. */
const ORDER: readonly (readonly Kind[])[] = [
  ["reset", "closed"],
  ["syn", "halfOpen", "datagram"],
  ["established", "answeredDatagram"],
];

for (const [i, kinds] of ORDER.entries()) {
  for (const kept of ORDER.slice(i + 1).flat()) {
    for (const kind of kinds)
      test(`a flow that is ${kind} loses its row before one that is ${kept}`, async (t) => {
        const node = setUp(t);
        for (const port of range(1001, OTHERS)) await node.make[kept](port);
        await node.make[kind](2000);
        await node.make.syn(3000);
        assert.deepEqual(node.ports(), [...range(1001, OTHERS), 3000]);
        assert.equal(node.evicted(), 0);
      });
  }
}

test("the rows that were never used come first", async (t) => {
  const node = setUp(t);
  await node.make.closed(1000);
  for (const port of range(1001, OTHERS)) await node.make.syn(port);
  assert.deepEqual(node.ports(), range(1000, Limit.FlowSet));
});

test("of flows in use the one that was silent longest loses its row, and is counted", async (t) => {
  const node = setUp(t);
  const ports = range(1001, Limit.FlowSet);
  for (const port of ports) await node.make.established(port);
  for (const port of ports) node.age(port, port === 1003 ? 120 : 60);
  await node.make.syn(3000);
  assert.deepEqual(node.ports(), [...ports.filter((port) => port !== 1003), 3000]);
  assert.equal(node.evicted(), 1);
});

test("a flood of SYNs takes no row of flows in use", async (t) => {
  const node = setUp(t);
  for (const port of range(1002, OTHERS - 1)) await node.make.established(port);
  await node.make.answeredDatagram(1001);
  for (const port of range(2000, 500)) await node.make.syn(port);
  assert.deepEqual(node.ports().slice(0, -1), range(1001, OTHERS));
  assert.equal(node.evicted(), 0);
});

test("a flow that was silent for hours has ended", async (t) => {
  const node = setUp(t);
  for (const port of range(1001, OTHERS)) await node.make.syn(port);
  await node.make.established(2000);
  node.age(2000, Limit.FlowIdleTcp - MARGIN);
  await node.make.syn(3000);
  assert.ok(node.ports().includes(2000), "idle, not longer than allowed");
  node.age(2000, 2 * MARGIN);
  await node.make.syn(3001);
  assert.ok(!node.ports().includes(2000));
});

test("a datagram after a long silence begins a flow anew, and a segment does not", async (t) => {
  const node = setUp(t);
  await node.make.datagram(1000);
  await node.make.established(1001);
  node.age(1000, Limit.FlowIdle - MARGIN);
  node.age(1001, Limit.FlowIdle + MARGIN);
  await node.send(1000, UDP, 0);
  await node.send(1001, TCP, TcpFlag.Ack);
  assert.equal(node.counts()["flow_new"], 2);
  node.age(1000, Limit.FlowIdle + MARGIN);
  await node.send(1000, UDP, 0);
  assert.equal(node.counts()["flow_new"], 3);
  assert.deepEqual(node.ports(), [1000, 1001]);
});
