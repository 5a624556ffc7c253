/** The programs on a node's devices, packet in, packet out. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { UDP } from "@isthmus/model";
import { FlowFlag, FlowRow, FlowWord } from "./gen/index.js";
import { makeNetns, makeVeth } from "./testing/netns.js";
import { ICMP, makePacket, type PacketFields, quote, readPacket, TcpFlag } from "./testing/packets.js";
import { loadPodPrograms, type PodProgram } from "./testing/pod-programs.js";
import { TcAction } from "./testing/skb-run.js";

/** Two pods of this node, and the device and MAC of the next hop to other nodes. */
const A = { address: "10.1.0.1", ifindex: 11, mac: "02:00:00:00:0a:01", hostMac: "02:00:00:00:0a:02" };
const B = { address: "10.1.0.2", ifindex: 12, mac: "02:00:00:00:0b:01", hostMac: "02:00:00:00:0b:02" };
const UPLINK = 13;
const NEXT_HOP = "02:00:00:00:0c:02";
/** A pod of another node, and an address that is no pod's. */
const FAR = "10.2.0.9";
const WORLD = "192.0.2.1";
/** `MARK_FORWARDED` of bpf/lib/deliver.h. */
const FORWARDED = 0x4d451203;
const { Initiator, ViaStack, PickedUp } = FlowFlag;
const SYN_ACK = TcpFlag.Syn | TcpFlag.Ack;
const FIN_ACK = TcpFlag.Fin | TcpFlag.Ack;

/** A node with the pods A and B, an uplink, and a route to the pods of other nodes. */
function setUp(t: TestContext, ranges: readonly string[] = ["10.1.0.0/16", "10.2.0.0/16"]) {
  const netns = makeNetns(t);
  for (const [i, name] of ["a", "b", "up"].entries()) makeVeth(netns, `${name}0`, `${name}1`, A.ifindex + i);
  netns.ip("addr", "add", "192.168.9.1/24", "dev", "up0");
  netns.ip("route", "add", "10.2.0.0/16", "via", "192.168.9.2");
  netns.ip("neigh", "add", "192.168.9.2", "lladdr", NEXT_HOP, "dev", "up0");
  netns.sysctl("net.ipv4.ip_forward=1");
  const programs = loadPodPrograms(t);
  programs.addPod(A);
  programs.addPod(B);
  for (const range of ranges) programs.addRange(range, 1);

  /** Runs a program on a packet from A to B, as far as `fields` say nothing else. */
  async function run(program: PodProgram, fields: Partial<PacketFields> = {}, context: object = {}) {
    const packet = makePacket({ source: A.address, target: B.address, sourceMac: A.mac, ...fields });
    const {
      action,
      packet: after,
      context: left,
    } = await programs.run(program, packet, { ifindex: A.ifindex, ...context }, netns.path);
    return {
      action,
      mark: left.mark,
      cb: left.cb,
      isChanged: Buffer.compare(after, packet) !== 0,
      ...readPacket(after),
    };
  }

  /** `run` of the answer: from B to A. */
  const answer = (program: PodProgram, fields: Partial<PacketFields> = {}) =>
    run(
      program,
      {
        ...{ source: B.address, target: A.address, sourcePort: 80, targetPort: 40_000, sourceMac: B.mac },
        ...{ flags: SYN_ACK, ...fields },
      },
      { ifindex: B.ifindex },
    );

  /** The flags of the only flow: of the packets from A, and of those of the other end. */
  function flags(): readonly (number | undefined)[] {
    const [flow, ...more] = programs.flows();
    assert.deepEqual(more, []);
    const ends = [...(flow?.flags ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
    return ends.map(([, of]) => of);
  }

  return { ...programs, netns, run, answer, flags };
}

test("a packet to a pod of this node gets its MACs and one less TTL, and makes one entry", async (t) => {
  const node = setUp(t);
  const { action, targetMac, sourceMac, ttl, checksumOk } = await node.run("from_pod");
  assert.deepEqual([action, targetMac, sourceMac, ttl, checksumOk], [TcAction.Redirect, B.mac, B.hostMac, 63, true]);
  assert.deepEqual(node.flags(), [Initiator, 0]);
  assert.deepEqual(node.counts(), { flow_new: 1, deliver: 1 });
});

test("the answer is of the same entry, whichever end began", async (t) => {
  const node = setUp(t);
  assert.equal((await node.run("from_pod")).action, TcAction.Redirect);
  assert.equal((await node.answer("from_pod")).action, TcAction.Redirect);
  assert.equal((await node.answer("from_pod", { sourcePort: 50_000, targetPort: 22, flags: TcpFlag.Syn })).action, 7);
  assert.equal((await node.run("from_pod", { sourcePort: 22, targetPort: 50_000, flags: SYN_ACK })).action, 7);
  assert.equal(node.flows().length, 2);
  assert.deepEqual(node.counts(), { flow_new: 2, deliver: 4 });
});

test("datagrams and echoes are flows of their own", async (t) => {
  const node = setUp(t);
  for (const fields of [{ protocol: UDP }, { protocol: ICMP, sourcePort: 0x0800, targetPort: 7 }])
    assert.equal((await node.run("from_pod", fields)).action, TcAction.Redirect);
  assert.equal((await node.answer("from_pod", { protocol: ICMP, sourcePort: 0, targetPort: 7 })).action, 7);
  assert.equal(node.flows().length, 2);
});

for (const [what, fields, context] of [
  ["an address of another pod", { source: B.address }, {}],
  ["an address of no pod", { source: WORLD }, {}],
  ["another MAC", { sourceMac: B.mac }, {}],
  ["the device of another pod", {}, { ifindex: B.ifindex }],
] as const) {
  test(`a packet with ${what} as its source is dropped and counted`, async (t) => {
    const node = setUp(t);
    assert.equal((await node.run("from_pod", fields, context)).action, TcAction.Drop);
    assert.deepEqual([node.flows(), node.counts()], [[], { spoofed_source: 1 }]);
  });
}

for (const [what, spoil] of [
  ["whose IPv4 header is none", (packet) => void packet.writeUInt8(0x44, 14)],
  // A test run takes no tag out, so this one is where a second tag is.
  ["behind two tags of VLANs", (packet) => void packet.writeUInt16BE(0x8100, 12)],
  ["behind a VLAN's and a provider's tag", (packet) => void packet.writeUInt16BE(0x88a8, 12)],
] as const satisfies readonly (readonly [string, (packet: Buffer) => void])[]) {
  test(`a packet ${what} is dropped when a pod sends it, and left alone elsewhere`, async (t) => {
    const node = setUp(t);
    const packet = makePacket({ source: A.address, target: B.address, sourceMac: A.mac });
    spoil(packet);
    const actions = [];
    for (const program of ["from_pod", "from_network", "to_pod", "to_network"] as const)
      actions.push((await node.program(program, packet)).action);
    assert.deepEqual(actions, [TcAction.Drop, TcAction.Unspecified, TcAction.Unspecified, TcAction.Unspecified]);
    assert.deepEqual(node.counts(), { malformed: 1 });
  });
}

test("what is not between pods of the mesh goes to the stack unchanged and leaves no entry", async (t) => {
  const node = setUp(t);
  const seen = [
    await node.run("from_pod", { target: WORLD }),
    await node.run("from_network", { source: WORLD }),
    await node.run("to_pod", { source: WORLD }),
    await node.run("to_network", { target: WORLD }),
    await node.run("from_network", { source: FAR, target: "10.1.0.99" }),
  ];
  for (const { action, isChanged } of seen) assert.deepEqual([action, isChanged], [TcAction.Unspecified, false]);
  assert.deepEqual([node.flows(), node.counts()], [[], {}]);
});

test("a packet that one run of a program has passed is passed by the next one of that hook, and judged by all others", async (t) => {
  const node = setUp(t);
  const passed = await node.run("from_pod", { flags: TcpFlag.Ack });
  assert.deepEqual([passed.action, node.counts()["to_stack"]], [TcAction.Unspecified, 1]);
  const again = (cb: readonly number[], context: object = {}) =>
    node.run("from_pod", { flags: TcpFlag.Ack }, { cb, ...context });
  const { action, isChanged } = await again(passed.cb);
  assert.deepEqual([action, isChanged, node.counts()["to_stack"]], [TcAction.Unspecified, false, 1]);
  const [low = 0, high = 0] = passed.cb;
  for (const other of [
    [low ^ 1, high],
    [low, high ^ 1],
    [0, 0],
  ])
    await again(other);
  assert.equal(node.counts()["to_stack"], 4);
  assert.equal((await again(passed.cb, { ifindex: B.ifindex })).action, TcAction.Drop);
  assert.notDeepEqual((await node.run("to_pod", { flags: TcpFlag.Ack }, { cb: passed.cb })).cb, passed.cb);
});

test("without a range nothing is of the mesh, also between pods of this node, whichever program sees it", async (t) => {
  const node = setUp(t, []);
  const seen = [
    await node.run("to_pod", { protocol: UDP }),
    await node.answer("from_pod", { protocol: UDP }),
    await node.answer("from_pod"),
    await node.run("from_network", { source: FAR }),
  ];
  for (const { action, isChanged } of seen) assert.deepEqual([action, isChanged], [TcAction.Unspecified, false]);
  assert.deepEqual([node.flows(), node.counts()], [[], {}]);
});

test("a packet to another node leaves by the node's route, with the MACs of its next hop and a mark", async (t) => {
  const node = setUp(t);
  const { action, targetMac, sourceMac, ttl, checksumOk, mark } = await node.run("from_pod", { target: FAR });
  assert.deepEqual(
    [action, targetMac, sourceMac, ttl, checksumOk, mark],
    [TcAction.Redirect, NEXT_HOP, node.netns.mac("up0"), 63, true, FORWARDED],
  );
  assert.deepEqual([node.flags(), node.counts()], [[Initiator, 0], { flow_new: 1, forward: 1 }]);
});

test("a packet whose next hop is not known yet is left to the kernel's neighbour table", async (t) => {
  const node = setUp(t);
  node.netns.ip("neigh", "del", "192.168.9.2", "dev", "up0");
  const { action, ttl, checksumOk, mark } = await node.run("from_pod", { target: FAR });
  assert.deepEqual([action, ttl, checksumOk, mark], [TcAction.Redirect, 63, true, FORWARDED]);
});

test("without a route, or too big for it, a packet goes to the stack, which answers", async (t) => {
  const node = setUp(t);
  const big = await node.run("from_pod", { target: FAR, payload: 1500 });
  node.netns.ip("route", "del", "10.2.0.0/16");
  const lost = await node.run("from_pod", { target: FAR });
  for (const { action, isChanged, mark } of [big, lost])
    assert.deepEqual([action, isChanged, mark], [TcAction.Unspecified, false, 0]);
  assert.deepEqual(node.counts(), { flow_new: 1, to_stack: 2 });
});

/** A second next hop, to which the upper half of the other nodes' pods goes. */
function addSecondHop(node: ReturnType<typeof setUp>): string {
  const mac = "02:00:00:00:0c:03";
  node.netns.ip("neigh", "add", "192.168.9.3", "lladdr", mac, "dev", "up0");
  node.netns.ip("route", "add", "10.2.128.0/17", "via", "192.168.9.3");
  return mac;
}

test("ways that are remembered are those of each pair of addresses", async (t) => {
  const node = setUp(t);
  const second = addSecondHop(node);
  // More than a processor remembers, each twice, in an order that comes back to each after many others.
  for (let i = 0; i < 1200; i++) {
    const host = (i * 7) % 600;
    const isUpper = host % 2 === 1;
    const target = `10.2.${(isUpper ? 128 : 0) + (host >> 8)}.${host & 255}`;
    const { action, targetMac } = await node.run("from_pod", { target, sourcePort: 1000 + i });
    assert.deepEqual([action, targetMac], [TcAction.Redirect, isUpper ? second : NEXT_HOP], target);
  }
});

/** Asks again and again, for five seconds at most. */
async function soon(holds: () => Promise<boolean>): Promise<void> {
  const until = performance.now() + 5000;
  while (!(await holds())) assert.ok(performance.now() < until);
}

test("a route that changes is followed, also one to an address whose way is remembered", async (t) => {
  const node = setUp(t);
  const second = addSecondHop(node);
  const hop = async () => (await node.run("from_pod", { target: FAR })).targetMac;
  assert.equal(await hop(), NEXT_HOP);
  node.netns.ip("route", "add", `${FAR}/32`, "via", "192.168.9.3");
  await soon(async () => (await hop()) === second);
  node.netns.ip("route", "replace", "unreachable", `${FAR}/32`);
  await soon(async () => (await node.run("from_pod", { target: FAR })).action === TcAction.Unspecified);
});

test("a way that is remembered takes no packet that is too big for it", async (t) => {
  const node = setUp(t);
  node.netns.ip("route", "add", `${FAR}/32`, "via", "192.168.9.2", "mtu", "lock", "1000");
  for (let i = 0; i < 3; i++) {
    assert.equal((await node.run("from_pod", { target: FAR, payload: 100 })).action, TcAction.Redirect);
    assert.equal((await node.run("from_pod", { target: FAR, payload: 1000 })).action, TcAction.Unspecified);
    assert.equal((await node.run("from_pod", { target: FAR, payload: 960 })).action, TcAction.Redirect);
  }
});

test("of a super-packet each segment must fit the route", async (t) => {
  const node = setUp(t);
  const actions = [];
  for (const gsoSize of [1448, 1480])
    actions.push((await node.run("from_pod", { target: FAR, payload: 3000 }, { gsoSize, gsoSegments: 3 })).action);
  assert.deepEqual(actions, [TcAction.Redirect, TcAction.Unspecified]);
});

test("a packet of another node goes to its pod, and the answer back", async (t) => {
  const node = setUp(t);
  const from = { source: FAR, target: A.address, sourceMac: NEXT_HOP };
  const { action, targetMac, sourceMac, ttl } = await node.run("from_network", from, { ifindex: UPLINK });
  assert.deepEqual([action, targetMac, sourceMac, ttl], [TcAction.Redirect, A.mac, A.hostMac, 63]);
  const back = await node.run("from_pod", { target: FAR, sourcePort: 80, targetPort: 40_000, flags: SYN_ACK });
  assert.deepEqual([back.action, back.targetMac], [TcAction.Redirect, NEXT_HOP]);
  assert.deepEqual(node.counts(), { flow_new: 1, deliver: 1, forward: 1 });
});

for (const [what, fields] of [
  ["the end of its TTL", { ttl: 1 }],
  ["IP options", { headerLength: 24 }],
  ["a protocol without ports", { protocol: 47 }],
  ["an ICMP error that quotes nothing", { protocol: ICMP, sourcePort: 0x0301 }],
  ["another ICMP message", { protocol: ICMP, sourcePort: 0x0d00 }],
] as const) {
  test(`a packet with ${what} goes to the stack, also one of a known flow`, async (t) => {
    const node = setUp(t);
    const ways = [
      ["from_pod", {}],
      ["from_network", { source: FAR, sourceMac: NEXT_HOP }],
    ] as const;
    for (const [program, ends] of ways) assert.equal((await node.run(program, ends)).action, TcAction.Redirect);
    const before = node.counts();
    for (const [program, ends] of ways) {
      const { action, isChanged } = await node.run(program, { ...ends, ...fields });
      assert.deepEqual([action, isChanged], [TcAction.Unspecified, false]);
    }
    assert.deepEqual(node.counts(), { ...before, to_stack: 2 });
  });
}

/** Errors of ICMP: type and code. */
const UNREACHABLE = 0x0303;
const TIME_EXCEEDED = 0x0b00;
/** A packet from A to the pod of another node, which errors quote. */
const SENT = { source: A.address, target: FAR };

for (const [what, sent] of [
  ["TCP", {}],
  ["UDP", { protocol: UDP }],
  ["an echo", { protocol: ICMP, sourcePort: 0x0800, targetPort: 7 }],
] as const) {
  test(`an ICMP error about ${what} past the stack goes as its flow does`, async (t) => {
    const node = setUp(t);
    await node.run("from_pod", { ...SENT, ...sent });
    const before = node.flows();
    // Of a router, which is no pod.
    const error = { protocol: ICMP, source: WORLD, target: A.address, quoted: quote(makePacket({ ...SENT, ...sent })) };
    for (const sourcePort of [UNREACHABLE, TIME_EXCEEDED]) {
      const { action, targetMac, ttl } = await node.run("from_network", { ...error, sourcePort }, { ifindex: UPLINK });
      assert.deepEqual([action, targetMac, ttl], [TcAction.Redirect, A.mac, 63]);
    }
    assert.deepEqual(node.flows(), before, "an error changes no flow");
    // Of a pod here, about what it received.
    const received = { ...sent, source: FAR, target: A.address, sourceMac: NEXT_HOP };
    await node.run("from_network", received, { ifindex: UPLINK });
    const answer = { protocol: ICMP, sourcePort: UNREACHABLE, target: FAR, quoted: quote(makePacket(received)) };
    const { action, targetMac } = await node.run("from_pod", answer);
    assert.deepEqual([action, targetMac], [TcAction.Redirect, NEXT_HOP]);
  });
}

for (const [what, sent, fields] of [
  ["about a flow without a row", { targetPort: 81 }, {}],
  ["that quotes a packet which its target did not send", { source: B.address }, {}],
  ["that quotes a later fragment", { fragment: 0x0010 }, {}],
  ["that quotes another protocol", { protocol: 47 }, {}],
  ["that quotes too little", {}, { quoted: quote(makePacket(SENT)).subarray(0, 27) }],
  ["at the end of its TTL", {}, { ttl: 1 }],
] as const) {
  test(`an ICMP error ${what} goes to the stack`, async (t) => {
    const node = setUp(t);
    await node.run("from_pod", SENT);
    const quoted = quote(makePacket({ ...SENT, ...sent }));
    const error = { protocol: ICMP, sourcePort: UNREACHABLE, source: WORLD, target: A.address, quoted, ...fields };
    const { action, isChanged } = await node.run("from_network", error, { ifindex: UPLINK });
    assert.deepEqual([action, isChanged], [TcAction.Unspecified, false]);
  });
}

test("an ICMP error about a flow through the stack goes there", async (t) => {
  const node = setUp(t);
  await node.run("to_network", SENT);
  const error = { protocol: ICMP, sourcePort: UNREACHABLE, source: WORLD, target: A.address };
  const about = { ...error, quoted: quote(makePacket(SENT)) };
  assert.equal((await node.run("from_network", about, { ifindex: UPLINK })).action, TcAction.Unspecified);
});

for (const program of ["to_pod", "to_network"] as const) {
  test(`the answers to what ${program} saw of the stack go there too; the other direction goes as it came`, async (t) => {
    const node = setUp(t);
    assert.equal((await node.run(program)).action, TcAction.Unspecified);
    assert.deepEqual(node.flags(), [Initiator, ViaStack]);
    const { action, isChanged } = await node.answer("from_pod");
    assert.deepEqual([action, isChanged], [TcAction.Unspecified, false]);
    assert.equal((await node.run("from_pod", { flags: TcpFlag.Ack })).action, TcAction.Redirect);
    assert.deepEqual(node.counts(), { flow_new: 1, to_stack: 1, deliver: 1 });
    // The same with the other end on another node.
    await node.run(program, { target: FAR });
    const back = { source: FAR, target: A.address, sourceMac: NEXT_HOP, sourcePort: 80, targetPort: 40_000 };
    const answered = await node.run("from_network", { ...back, flags: SYN_ACK }, { ifindex: UPLINK });
    assert.deepEqual([answered.action, answered.isChanged], [TcAction.Unspecified, false]);
  });
}

test("a flow that begins past the stack and goes on through it has its answers there from then on", async (t) => {
  const node = setUp(t);
  await node.run("from_pod");
  assert.equal((await node.answer("from_pod")).action, TcAction.Redirect);
  // A datagram too long for the route, which the stack has cut: its first fragment has the ports.
  await node.run("to_pod", { fragment: 0x2000 });
  assert.deepEqual(node.flags(), [Initiator, ViaStack]);
  assert.equal((await node.answer("from_pod")).action, TcAction.Unspecified);
});

test("to_network leaves alone what was forwarded past the stack", async (t) => {
  const node = setUp(t);
  await node.run("from_pod", { target: FAR });
  await node.run("to_network", { target: FAR }, { mark: FORWARDED, ifindex: UPLINK });
  assert.deepEqual(node.flags(), [Initiator, 0]);
  await node.run("to_network", { target: FAR }, { mark: 7, ifindex: UPLINK });
  assert.deepEqual(node.flags(), [Initiator, ViaStack]);
});

test("TCP that is older than its entry is picked up and goes through the stack, both ways", async (t) => {
  const node = setUp(t);
  assert.equal((await node.run("from_pod", { flags: TcpFlag.Ack })).action, TcAction.Unspecified);
  assert.deepEqual(node.flags(), [Initiator | ViaStack | PickedUp, ViaStack | PickedUp]);
  assert.equal((await node.answer("from_pod", { flags: TcpFlag.Ack })).action, TcAction.Unspecified);
  assert.deepEqual(node.counts(), { flow_picked_up: 1, to_stack: 2 });
});

for (const [what, close] of [
  ["both ends have sent FIN", ["run", "answer"]],
  ["one end has sent RST", ["run"]],
] as const) {
  test(`a SYN after ${what} begins a new flow`, async (t) => {
    const node = setUp(t);
    await node.run("to_pod");
    const gen = node.flows()[0]?.row.gen;
    await node.run("to_pod");
    assert.equal(node.flows()[0]?.row.gen, gen, "a SYN that is sent again begins nothing");
    for (const each of close) await node[each]("from_pod", { flags: close.length > 1 ? FIN_ACK : TcpFlag.Rst });
    assert.equal((await node.run("from_pod")).action, TcAction.Redirect);
    assert.notEqual(node.flows()[0]?.row.gen, gen);
    assert.deepEqual(node.flags(), [Initiator, 0], "the new flow does not have the flags of the old one");
  });
}

test("a SYN past the stack is new when an old flow of its ports has its answers there", async (t) => {
  const node = setUp(t);
  await node.run("to_pod");
  assert.deepEqual(node.flags(), [Initiator, ViaStack]);
  assert.equal((await node.run("from_pod")).action, TcAction.Redirect);
  assert.deepEqual(node.flags(), [Initiator, 0]);
  assert.equal((await node.answer("from_pod")).action, TcAction.Redirect);
});

test("a packet of the network that says it is from a pod of this node is left to the stack", async (t) => {
  const node = setUp(t);
  const { action, isChanged } = await node.run("from_network", {}, { ifindex: UPLINK });
  assert.deepEqual([action, isChanged, node.flows()], [TcAction.Unspecified, false, []]);
});

test("a word of another flow's row is not believed: the flow is one without a row", async (t) => {
  const node = setUp(t);
  await node.run("from_pod");
  const [flow] = node.flows();
  assert.ok(flow);
  const [a = 0n, b = 0n] = flow.row.word;
  // As a program leaves it that stores the word of a dead flow late.
  const stale = FlowWord.toWord({ ...FlowWord.fromWord(a), check: FlowWord.fromWord(a).check ^ 1, flags: 0 });
  node.putFlow(flow.place, { ...flow.row, word: [stale, b] });
  assert.equal((await node.run("from_pod", { flags: TcpFlag.Ack })).action, TcAction.Unspecified);
  assert.deepEqual(node.flags(), [Initiator | ViaStack | PickedUp, ViaStack | PickedUp]);
  assert.equal(node.counts()["check_mismatch"], 1);
  assert.equal(FlowRow.encode(flow.row).length, FlowRow.size);
});

test("without room for an entry, flows of others are evicted and the packet goes on", async (t) => {
  const node = setUp(t);
  for (let port = 1; port <= 5000; port++)
    assert.equal((await node.run("from_pod", { sourcePort: port })).action, TcAction.Redirect, `port ${port}`);
  assert.ok(node.flows().length <= 1024, "the map has room for 1,024");
});
