/** Policies of pods on packets, packet in, packet out. Their rows in the maps are written by hand. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SCTP, UDP } from "@isthmus/model";
import {
  DropReason,
  EventKind,
  FlowFlag,
  IpcacheKey,
  IpcacheRow,
  KnownIdentity,
  MAP_NAMES,
  PolicyPeerKey,
  PolicyPeerRow,
  Verdict,
} from "./gen/index.js";
import { native } from "./native.js";
import { ICMP, makePacket, type PacketFields, quote, readPacket, TcpFlag } from "./testing/packets.js";
import {
  A,
  B,
  FAR,
  ID_A,
  ID_B,
  ID_FAR,
  isRefusal,
  makePolicyNode,
  NODE,
  OTHER_NODE,
  UNMANAGED,
  UPLINK,
  WORLD,
} from "./testing/policy-node.js";
import { ALLOW, type TestClassRow } from "./testing/policy-rows.js";
import { TcAction } from "./testing/skb-run.js";

const [SYN_ACK, FIN_ACK] = [TcpFlag.Syn | TcpFlag.Ack, TcpFlag.Fin | TcpFlag.Ack];
const { Drop, Redirect, Unspecified } = TcAction;
/** `MARK_FORWARDED` and `MARK_ANSWER` of bpf/lib/deliver.h. */
const [FORWARDED, ANSWER] = [0x4d451203, 0x4d451202];

test("a pod without a policy may send and receive everything, and nobody is asked", async (t) => {
  const node = makePolicyNode(t);
  assert.equal(await node.run("from_pod"), Redirect);
  assert.deepEqual(node.counts(), { flow_new: 1, deliver: 1 });
  assert.deepEqual(node.allowed(), [undefined, undefined]);
});

test("what the sender's policy does not allow is dropped, and gets no entry", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, { in: ALLOW });
  node.policy.enforce(A.row, 5, 1);
  assert.equal(await node.run("from_pod"), Drop);
  assert.equal(await node.run("from_pod", { target: FAR }), Drop);
  assert.equal(await node.run("from_pod", { target: WORLD }), Drop);
  assert.deepEqual([node.flows(), node.counts()], [[], { judged: 3, egress_denied: 3 }]);
});

for (const [program, fields, ifindex] of [
  ["from_pod", {}, A.ifindex],
  ["from_network", { source: FAR }, UPLINK],
  ["to_pod", { source: FAR }, B.ifindex],
  ["to_pod", { source: WORLD }, B.ifindex],
  ["to_pod", { source: OTHER_NODE }, B.ifindex],
] as const) {
  const sender = "source" in fields ? fields.source : A.address;
  test(`what the receiver's policy does not allow is dropped in ${program}, from ${sender}`, async (t) => {
    const node = makePolicyNode(t);
    node.policy.set(5, { out: ALLOW });
    node.policy.enforce(B.row, 5, 1);
    assert.equal(await node.run(program, fields, ifindex), Drop);
    assert.deepEqual([node.flows(), node.counts()], [[], { judged: 1, ingress_denied: 1 }]);
  });
}

test("the node itself reaches its pods, and gets answers, whatever their policy says", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, {});
  node.policy.enforce(B.row, 5, 1);
  assert.equal(await node.run("to_pod", { source: NODE }, B.ifindex), Unspecified);
  assert.equal(await node.answer("from_pod", { target: NODE }), Unspecified);
  assert.equal(await node.answer("from_pod", { target: NODE, targetPort: 10250, flags: TcpFlag.Syn }), Drop);
  assert.deepEqual(node.counts(), { judged: 2, flow_new: 1, to_stack: 1, egress_denied: 1 });
});

test("both ends of a flow are asked at its first packet, and then nobody until a revision changes", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, {});
  node.policy.peer(5, ID_B, { out: ALLOW });
  node.policy.set(6, {});
  node.policy.peer(6, ID_A, { in: ALLOW });
  node.policy.enforce(A.row, 5, 7);
  node.policy.enforce(B.row, 6, 8);
  assert.equal(await node.run("from_pod"), Redirect);
  assert.deepEqual(node.allowed(), [7, 8]);
  assert.equal(await node.answer("from_pod"), Redirect);
  assert.equal(await node.run("from_pod", { flags: TcpFlag.Ack }), Redirect);
  assert.equal(node.counts()["judged"], 1);
  node.policy.enforce(B.row, 6, 9);
  assert.equal(await node.answer("from_pod", { flags: TcpFlag.Ack }), Redirect);
  assert.deepEqual(node.allowed(), [7, 9]);
  assert.equal(node.counts()["judged"], 2);
});

test("answers need no rule; what begins in the other direction does", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, {});
  node.policy.peer(5, ID_A, { in: ALLOW });
  node.policy.enforce(B.row, 5, 1);
  assert.equal(await node.run("from_pod"), Redirect);
  assert.equal(await node.answer("from_pod"), Redirect);
  assert.equal(await node.answer("from_pod", { flags: FIN_ACK }), Redirect);
  assert.equal(await node.answer("from_pod", { sourcePort: 40_000, targetPort: 80, flags: TcpFlag.Syn }), Drop);
  // Of the same ports, on an entry that is alive.
  assert.equal(await node.answer("from_pod", { flags: TcpFlag.Syn }), Drop);
  assert.equal(node.flows().length, 1);
});

test("an entry that ended says nothing for what begins on it", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, {});
  node.policy.peer(5, ID_A, { in: ALLOW });
  node.policy.enforce(B.row, 5, 1);
  const datagram = { protocol: UDP };
  assert.equal(await node.run("from_pod", datagram), Redirect);
  assert.equal(await node.answer("from_pod", datagram), Redirect);
  const [flow] = node.flows();
  assert.ok(flow);
  node.putFlow(flow.place, { ...flow.row, seen: (flow.row.seen - 200) & 0xffff });
  assert.equal(await node.answer("from_pod", datagram), Drop);
  assert.equal(await node.run("from_pod", datagram), Redirect);
  assert.equal(await node.answer("from_pod", datagram), Redirect);
});

test("a policy that allows less ends established flows in both directions; their entry stays", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, { in: ALLOW, out: ALLOW });
  node.policy.set(6, { out: ALLOW });
  node.policy.enforce(B.row, 5, 1);
  assert.equal(await node.run("from_pod"), Redirect);
  assert.equal(await node.answer("from_pod"), Redirect);
  node.policy.enforce(B.row, 6, 2);
  assert.equal(await node.run("from_pod", { flags: TcpFlag.Ack }), Drop);
  assert.equal(await node.answer("from_pod", { flags: TcpFlag.Ack }), Drop);
  assert.deepEqual(node.allowed(), [undefined, 1]);
  node.policy.enforce(B.row, 5, 3);
  assert.equal(await node.answer("from_pod", { flags: TcpFlag.Ack }), Redirect);
  assert.deepEqual(node.allowed(), [undefined, 3]);
});

test("what is enforced for a pod that had no policy is asked of the flows that it has", async (t) => {
  const node = makePolicyNode(t);
  assert.equal(await node.run("from_pod"), Redirect);
  assert.equal(await node.run("from_pod", { sourcePort: 7 }), Redirect);
  node.policy.set(5, { out: ALLOW });
  node.policy.class(1, [{ protocol: 6, port: 80 }]);
  node.policy.enforce(B.row, 5, 1);
  assert.equal(await node.answer("from_pod"), Drop);
  node.policy.set(6, { in: { class: 1 } });
  node.policy.enforce(B.row, 6, 2);
  assert.equal(await node.answer("from_pod", { targetPort: 7 }), Redirect);
});

const CLASSES: readonly (readonly [string, readonly TestClassRow[], Partial<PacketFields>, boolean])[] = [
  ["a port", [{ protocol: 6, port: 80 }], {}, true],
  ["another port", [{ protocol: 6, port: 81 }], {}, false],
  ["the port of another protocol", [{ protocol: UDP, port: 80 }], {}, false],
  ["a range of ports", [{ protocol: 6, port: 64, bits: 10 }], {}, true],
  ["a range without the port", [{ protocol: 6, port: 128, bits: 9 }], {}, false],
  ["all ports of a protocol", [{ protocol: 6 }], {}, true],
  ["all ports of another protocol", [{ protocol: UDP }], {}, false],
  ["all protocols", [{}], { protocol: UDP }, true],
  ["a port but for all others", [{ allow: true }, { protocol: 6, port: 80, allow: false }], {}, false],
  ["no row of the class", [], {}, false],
  ["requests of ICMP echo", [{ protocol: ICMP, port: 0x0800 }], { protocol: ICMP, sourcePort: 0x0800 }, true],
  ["the type of ICMP echo", [{ protocol: ICMP, port: 0x0800, bits: 8 }], { protocol: ICMP, sourcePort: 0x0800 }, true],
  ["another type of ICMP", [{ protocol: ICMP, port: 0x0d00 }], { protocol: ICMP, sourcePort: 0x0800 }, false],
  ["a type of ICMP without ports", [{ protocol: ICMP, port: 0x0d00 }], { protocol: ICMP, sourcePort: 0x0d00 }, true],
  ["all of a protocol without ports", [{ protocol: 47 }], { protocol: 47 }, true],
  ["a protocol without ports that has no row", [{ protocol: 6 }], { protocol: 47 }, false],
];
for (const [what, rows, fields, isAllowed] of CLASSES)
  for (const direction of ["in", "out"] as const)
    test(`a class decides by protocol and port, ${direction}: ${what}`, async (t) => {
      const node = makePolicyNode(t);
      node.policy.class(9, rows);
      node.policy.class(8, [{}]);
      node.policy.set(5, {});
      node.policy.peer(5, direction === "in" ? ID_A : ID_B, { [direction]: { class: 9 } });
      node.policy.enforce((direction === "in" ? B : A).row, 5, 1);
      const action = await node.run("from_pod", fields);
      assert.equal(action === Drop, !isAllowed);
      assert.equal(node.counts()[direction === "in" ? "ingress_denied" : "egress_denied"] ?? 0, isAllowed ? 0 : 1);
    });

test("a row of an address is more than a prefix, and a longer prefix more than a shorter one", async (t) => {
  const node = makePolicyNode(t);
  const [wide, narrow] = [(1 << 20) | 7, (1 << 20) | 8];
  node.policy.prefix("192.0.2.0/24", wide);
  node.policy.prefix("192.0.2.128/25", narrow);
  node.policy.set(5, {});
  node.policy.enforce(A.row, 5, 1);
  const passes = async (target: string) => (await node.run("from_pod", { target, targetPort: ++port })) !== Drop;
  let port = 1000;
  node.policy.peer(5, wide, { out: ALLOW });
  assert.deepEqual(
    [await passes("192.0.2.1"), await passes("192.0.2.129"), await passes("198.51.100.1")],
    [true, false, false],
  );
  node.policy.peer(5, KnownIdentity.World, { out: ALLOW });
  assert.deepEqual([await passes("198.51.100.1"), await passes("192.0.2.129")], [true, false]);
  node.policy.identity("192.0.2.129", wide);
  assert.deepEqual([await passes("192.0.2.129"), await passes("192.0.2.130")], [true, false]);
});

test("an address of a pod range of which nothing is known is not of the world", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, {});
  node.policy.peer(5, KnownIdentity.World, { in: ALLOW, out: ALLOW });
  node.policy.enforce(A.row, 5, 1);
  assert.equal(await node.run("from_pod", { target: "10.2.0.77" }), Drop);
  assert.deepEqual(node.counts(), { judged: 1, unknown_identity: 1 });
  node.policy.peer(5, UNMANAGED, { out: ALLOW });
  assert.equal(await node.run("from_pod", { target: "10.2.0.77" }), Redirect);
});

test("a row of another address is none", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, {});
  node.policy.peer(5, ID_B, { out: ALLOW });
  node.policy.enforce(A.row, 5, 1);
  const key = IpcacheKey.encode({
    addr: new Uint8Array([...new Uint8Array(10), 255, 255, 10, 2, 0, 9]),
    space: 0,
  });
  const row = IpcacheRow.encode({ identity: ID_B, node: 0, flags: 0, check: 1 });
  native().mapUpdate(node.map(MAP_NAMES.ipcache), key, row, 0);
  assert.equal(await node.run("from_pod", { target: FAR }), Drop);
  assert.deepEqual(node.counts(), { judged: 1, unknown_identity: 1, check_mismatch: 2 });
});

test("a row of another set or identity denies", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, { out: ALLOW });
  node.policy.enforce(A.row, 5, 1);
  assert.equal(await node.run("from_pod"), Redirect);
  for (const wrong of [
    { set: 6, identity: ID_B },
    { set: 5, identity: ID_A },
  ]) {
    const row = PolicyPeerRow.encode({ ...wrong, in: 0xc0000000, out: 0xc0000000 });
    native().mapUpdate(node.map(MAP_NAMES.policyPeers), PolicyPeerKey.encode({ set: 5, identity: ID_B }), row, 0);
    assert.equal(await node.run("from_pod", { sourcePort: 9 }), Drop);
  }
  assert.equal(node.counts()["check_mismatch"], 2);
});

test("of TCP without an entry, what the policy would allow as an answer gets one again", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, {});
  node.policy.peer(5, ID_A, { in: ALLOW });
  node.policy.enforce(B.row, 5, 1);
  assert.equal(await node.answer("from_pod", { flags: TcpFlag.Ack }), Unspecified);
  assert.deepEqual(
    [...(node.flows()[0]?.flags.values() ?? [])].filter((flags) => flags & FlowFlag.Initiator).length,
    1,
  );
  assert.deepEqual(node.allowed(), [undefined, 1]);
  // It is A that began it.
  const [flow] = node.flows();
  assert.equal((flow?.flags.get(`${A.address}:40000`) ?? 0) & FlowFlag.Initiator, FlowFlag.Initiator);
  assert.equal(await node.run("from_pod", { flags: TcpFlag.Ack }), Unspecified);
  assert.equal(node.counts()["judged"], 1);
  assert.equal(await node.answer("from_pod", { sourcePort: 9, flags: TcpFlag.Ack, protocol: UDP }), Drop);
});

test("a policy that knows neither direction drops TCP without an entry", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, {});
  node.policy.enforce(B.row, 5, 1);
  assert.equal(await node.answer("from_pod", { flags: TcpFlag.Ack }), Drop);
  assert.equal(await node.run("from_pod", { flags: TcpFlag.Ack }), Drop);
  assert.deepEqual(node.flows(), []);
});

test("flows with the world pass the stack in both directions, and what nobody asked for is dropped", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, { out: ALLOW });
  node.policy.enforce(A.row, 5, 1);
  assert.equal(await node.run("from_pod", { target: WORLD }), Unspecified);
  assert.equal(await node.run("from_pod", { target: WORLD, flags: TcpFlag.Ack }), Unspecified);
  const back = { source: WORLD, target: A.address, sourcePort: 80, targetPort: 40_000, flags: SYN_ACK };
  assert.equal(await node.run("from_network", back, UPLINK), Unspecified);
  assert.equal(await node.run("to_pod", back), Unspecified);
  assert.equal(await node.run("to_pod", { ...back, sourcePort: 81, flags: TcpFlag.Syn }), Drop);
  assert.equal(node.counts()["deliver"], undefined);
});

test("an ICMP error passes while its flow does", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, {});
  node.policy.peer(5, ID_FAR, { out: ALLOW });
  node.policy.enforce(A.row, 5, 1);
  const sent = { source: A.address, target: FAR, sourceMac: A.mac, flags: TcpFlag.Ack } as const;
  const tooBig = (about: Partial<PacketFields>) => ({
    ...{ source: OTHER_NODE, target: A.address, protocol: ICMP, sourcePort: 0x0304 },
    quoted: quote(makePacket({ ...sent, ...about })),
  });
  assert.equal(await node.run("from_network", tooBig({}), UPLINK), Drop);
  assert.equal(await node.run("to_pod", tooBig({})), Drop);
  assert.equal(await node.run("from_pod", { ...sent, flags: TcpFlag.Syn }), Redirect);
  assert.equal(await node.run("from_network", tooBig({}), UPLINK), Redirect);
  assert.equal(await node.run("to_pod", tooBig({})), Unspecified);
  assert.equal(await node.run("to_pod", tooBig({ sourcePort: 1 })), Drop);
});

test("a fragment after the first passes if the first one did", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, { in: { class: 1 } });
  node.policy.class(1, [{ protocol: UDP, port: 80 }]);
  node.policy.enforce(B.row, 5, 1);
  const [first, later] = [0x2000, 0x0010];
  const datagram = { protocol: UDP, payload: 32 };
  assert.equal(await node.run("from_pod", { ...datagram, id: 1, fragment: first }), Redirect);
  assert.equal(await node.run("from_pod", { ...datagram, id: 1, fragment: later }), Redirect);
  assert.equal(await node.run("from_pod", { ...datagram, id: 2, fragment: first, targetPort: 81 }), Drop);
  assert.equal(await node.run("from_pod", { ...datagram, id: 2, fragment: later }), Drop);
});

test("a fragment that splits the header of TCP passes to no pod with a policy, whatever this allows", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, { in: ALLOW, out: ALLOW });
  const runAll = async (program: "to_pod" | "to_network") => {
    const actions = [];
    for (const source of [FAR, WORLD]) {
      const first = makePacket({ source, target: B.address, fragment: 0x2000 });
      first.writeUInt16BE(20 + 8, 14 + 2); // the length of the IP packet: without the whole header
      const second = makePacket({ source, target: B.address, fragment: 1, payload: 100 });
      for (const packet of [first, second]) actions.push((await node.program(program, packet)).action);
    }
    return new Set(actions);
  };
  assert.deepEqual([...(await runAll("to_pod"))], [Unspecified], "without a policy");
  node.policy.enforce(B.row, 5, 1);
  assert.deepEqual([...(await runAll("to_pod"))], [Drop]);
  assert.deepEqual([...(await runAll("to_network"))], [Unspecified]);
  node.policy.enforce(B.row, 5, 2, "audit");
  assert.deepEqual([...(await runAll("to_pod"))], [Unspecified], "in audit mode");
  assert.deepEqual([node.flows(), node.counts()], [[], { ingress_denied: 4, ingress_audited: 4 }]);
});

test("a packet with the mark of those for other nodes is judged when it is for a pod; an answer is not", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, {});
  node.policy.enforce(B.row, 5, 1);
  assert.equal(await node.run("to_pod", { source: FAR }, B.ifindex, { mark: FORWARDED }), Drop);
  assert.equal(await node.run("to_pod", { source: FAR }, B.ifindex, { mark: ANSWER }), Unspecified);
});

for (const [what, fields, denied, program, ifindex] of [
  ["a SYN", {}, A, "from_pod", A.ifindex],
  ["a datagram", { protocol: UDP, payload: 1200 }, A, "from_pod", A.ifindex],
  ["a chunk of SCTP", { protocol: SCTP }, A, "from_pod", A.ifindex],
  ["a SYN that the receiver does not allow", {}, B, "from_pod", A.ifindex],
  ["a SYN from another node", { source: FAR }, B, "from_network", UPLINK],
] as const) {
  test(`a denied packet is answered by ICMP: ${what}`, async (t) => {
    const node = makePolicyNode(t);
    node.policy.set(5, {});
    node.policy.enforce(denied.row, 5, 1);
    const sent = makePacket({ source: A.address, target: B.address, sourceMac: A.mac, ...fields });
    const { action, packet, context } = await node.runOn(program, fields, ifindex);
    assert.deepEqual([action, context.mark, packet.length], [Redirect, ANSWER, 14 + 20 + 8 + 28]);
    const [error, cause] = [readPacket(packet), readPacket(sent)];
    assert.deepEqual([error.source, error.target, error.ttl], [cause.target, cause.source, 64]);
    assert.deepEqual([error.sourceMac, error.targetMac], [cause.targetMac, cause.sourceMac]);
    assert.ok(isRefusal(packet) && error.checksumOk);
    assert.equal(onesComplement(packet.subarray(34)), 0xffff);
    assert.deepEqual(Buffer.from(packet.subarray(42)), Buffer.from(quote(sent)));
    assert.deepEqual([node.icmpErrors(), node.flows()], [1, []]);
  });
}

test("a denied packet has no answer if it begins nothing, is a ping, or is for the world or an address that is not known yet", async (t) => {
  const node = makePolicyNode(t);
  node.policy.prefix("203.0.113.0/24", (4095 << 20) | 300);
  node.policy.set(5, {});
  node.policy.enforce(A.row, 5, 1);
  for (const fields of [
    { flags: TcpFlag.Ack },
    { protocol: ICMP, sourcePort: 0x0800 },
    { target: WORLD },
    { target: "203.0.113.1" },
    { target: "10.2.0.77" },
  ]) {
    const { action, packet } = await node.runOn("from_pod", fields);
    assert.deepEqual([action, isRefusal(packet)], [Drop, false]);
  }
  assert.equal(node.icmpErrors(), 0);
});

test("a pod gets a hundred ICMP errors at once, not more", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, {});
  node.policy.enforce(A.row, 5, 1);
  for (let i = 0; i < 300; i++) assert.equal(await node.run("from_pod", { sourcePort: 1000 + i }), Drop);
  assert.equal(node.counts()["egress_denied"], 300);
  // The runs take a while, in which it may get more.
  assert.ok(node.icmpErrors() >= 100 && node.icmpErrors() < 300, `${node.icmpErrors()}`);
});

test("a flow of SCTP has ports, and answers", async (t) => {
  const node = makePolicyNode(t);
  node.policy.class(1, [{ protocol: SCTP, port: 80 }]);
  node.policy.set(5, { in: { class: 1 } });
  node.policy.enforce(B.row, 5, 1);
  assert.equal(await node.run("from_pod", { protocol: SCTP }), Redirect);
  assert.equal(await node.answer("from_pod", { protocol: SCTP }), Redirect);
  assert.equal(await node.run("from_pod", { protocol: SCTP, targetPort: 81 }), Drop);
});

test("events name the identities and the rule", async (t) => {
  const node = makePolicyNode(t);
  node.events().want([EventKind.FlowNew, EventKind.Drop]);
  node.policy.set(5, { out: { allow: false, rule: 4 } });
  node.policy.peer(5, ID_B, { out: { allow: true, rule: 3 } });
  node.policy.class(1, [{ protocol: 6, port: 81, allow: false, rule: 6 }]);
  node.policy.peer(5, ID_FAR, { out: { class: 1 } });
  node.policy.enforce(A.row, 5, 1);
  await node.run("from_pod");
  await node.run("from_pod", { target: WORLD });
  await node.run("from_pod", { target: FAR, targetPort: 81 });
  await node.answer("from_pod", { flags: TcpFlag.Syn, targetPort: 7 });
  const seen = (await node.readEvents(4)).map((event) => [
    event.kind,
    event.reason,
    event.sourceIdentity,
    event.targetIdentity,
    event.rule,
  ]);
  assert.deepEqual(seen, [
    [EventKind.FlowNew, 0, 0, ID_B, 3],
    [EventKind.Drop, DropReason.EgressDenied, 0, KnownIdentity.World, 4],
    [EventKind.Drop, DropReason.EgressDenied, 0, ID_FAR, 6],
    [EventKind.Drop, DropReason.IngressDenied, ID_B, 0, 0],
  ]);
});

for (const [program, fields, ifindex] of [
  ["from_pod", {}, A.ifindex],
  ["from_network", { source: FAR }, UPLINK],
  ["to_pod", { source: FAR }, B.ifindex],
  ["to_pod", { source: WORLD }, B.ifindex],
] as const) {
  const sender = "source" in fields ? fields.source : A.address;
  test(`in audit mode of the receiver, what it does not allow passes ${program}, from ${sender}, and is reported once`, async (t) => {
    const node = makePolicyNode(t);
    node.events().want([EventKind.Audited, EventKind.Drop]);
    node.policy.set(5, { in: { allow: false, rule: 9 } });
    node.policy.enforce(B.row, 5, 1, "audit");
    assert.notEqual(await node.run(program, fields, ifindex), Drop);
    assert.notEqual(await node.run(program, { ...fields, flags: TcpFlag.Ack }, ifindex), Drop);
    assert.equal((await node.answer("from_pod", { target: sender })) === Drop, false);
    const { judged, ingress_audited, ingress_denied = 0 } = node.counts();
    assert.deepEqual([judged, ingress_audited, ingress_denied, node.icmpErrors()], [1, 1, 0, 0]);
    const [event, ...more] = await node.readEvents(1);
    assert.deepEqual(
      [event?.kind, event?.verdict, event?.reason, event?.rule, event?.targetIdentity, more.length],
      [EventKind.Audited, Verdict.Audit, DropReason.IngressDenied, 9, 0, 0],
    );
    const identity = { [A.address]: ID_A, [FAR]: ID_FAR, [WORLD]: KnownIdentity.World }[sender];
    assert.equal(event?.sourceIdentity, identity);
  });
}

test("in audit mode of the sender, what it does not allow passes and is reported, and what it allows is not", async (t) => {
  const node = makePolicyNode(t);
  node.events().want([EventKind.Audited]);
  node.policy.set(5, { out: { allow: false, rule: 4 } });
  node.policy.peer(5, ID_FAR, { out: ALLOW });
  node.policy.enforce(A.row, 5, 1, "audit");
  assert.equal(await node.run("from_pod", { target: FAR }), Redirect);
  assert.equal(await node.run("from_pod"), Redirect);
  assert.equal(await node.run("from_pod", { target: WORLD }), Unspecified);
  // Requests of this protocol have no ports, so each packet is asked about.
  assert.equal(await node.run("from_pod", { protocol: 47 }), Unspecified);
  assert.equal(await node.run("from_pod", { target: "10.2.0.77" }), Redirect);
  const { egress_audited, unknown_audited, egress_denied, unknown_identity } = node.counts();
  assert.deepEqual([egress_audited, unknown_audited, egress_denied, unknown_identity], [3, 1, undefined, undefined]);
  const events = (await node.readEvents(4)).map(({ reason, targetIdentity, rule }) => [reason, targetIdentity, rule]);
  assert.deepEqual(events, [
    [DropReason.EgressDenied, ID_B, 4],
    [DropReason.EgressDenied, KnownIdentity.World, 4],
    [DropReason.EgressDenied, ID_B, 4],
    [DropReason.UnknownIdentity, UNMANAGED, 4],
  ]);
});

test("of two ends in audit mode the sender's denial is reported, and the flow is noted for both", async (t) => {
  const node = makePolicyNode(t);
  node.events().want([EventKind.Audited]);
  node.policy.set(5, { out: { allow: false, rule: 4 } });
  node.policy.set(6, { in: { allow: false, rule: 6 } });
  node.policy.enforce(A.row, 5, 7, "audit");
  node.policy.enforce(B.row, 6, 8, "audit");
  assert.equal(await node.run("from_pod"), Redirect);
  assert.deepEqual(node.allowed(), [7, 8]);
  const [event] = await node.readEvents(1);
  assert.deepEqual(
    [event?.reason, event?.rule, event?.sourceIdentity, event?.targetIdentity],
    [DropReason.EgressDenied, 4, 0, ID_B],
  );
  assert.deepEqual(node.counts(), { judged: 1, flow_new: 1, deliver: 1, egress_audited: 1 });
});

test("audit mode of one end opens nothing that the other one denies", async (t) => {
  const node = makePolicyNode(t);
  node.events().want([EventKind.Audited, EventKind.Drop]);
  node.policy.set(5, {});
  node.policy.enforce(A.row, 5, 1, "audit");
  node.policy.enforce(B.row, 5, 2);
  assert.equal(await node.run("from_pod"), Drop);
  node.policy.enforce(A.row, 5, 3);
  node.policy.enforce(B.row, 5, 4, "audit");
  assert.equal(await node.run("from_pod"), Drop);
  assert.deepEqual([node.flows(), node.counts()], [[], { judged: 2, ingress_denied: 1, egress_denied: 1 }]);
  const events = (await node.readEvents(2)).map(({ kind, reason, sourceIdentity, targetIdentity }) => [
    ...[kind, reason],
    ...[sourceIdentity, targetIdentity],
  ]);
  assert.deepEqual(events, [
    [EventKind.Drop, DropReason.IngressDenied, ID_A, ID_B],
    [EventKind.Drop, DropReason.EgressDenied, 0, ID_B],
  ]);
});

test("when audit mode ends, with another revision, what passed in it is denied at once in both directions", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, {});
  node.policy.enforce(B.row, 5, 1, "audit");
  assert.equal(await node.run("from_pod"), Redirect);
  assert.equal(await node.answer("from_pod"), Redirect);
  node.policy.enforce(B.row, 5, 2);
  assert.equal(await node.run("from_pod", { flags: TcpFlag.Ack }), Drop);
  assert.equal(await node.answer("from_pod", { flags: TcpFlag.Ack }), Drop);
  node.policy.enforce(B.row, 5, 2, "audit");
  assert.equal(await node.run("from_pod", { flags: TcpFlag.Ack }), Redirect);
  assert.equal(await node.answer("from_pod", { flags: TcpFlag.Ack }), Redirect);
  assert.deepEqual(node.allowed(), [undefined, 2]);
});

test("in audit mode an answer of which nobody knows the flow is reported only if it is allowed in neither direction", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, {});
  node.policy.peer(5, ID_A, { in: ALLOW });
  node.policy.enforce(B.row, 5, 1, "audit");
  assert.equal(await node.answer("from_pod", { flags: TcpFlag.Ack }), Unspecified);
  const [flow] = node.flows();
  assert.equal((flow?.flags.get(`${A.address}:40000`) ?? 0) & FlowFlag.Initiator, FlowFlag.Initiator);
  assert.deepEqual([node.counts()["egress_audited"], node.counts()["ingress_audited"]], [undefined, undefined]);
  assert.equal(await node.answer("from_pod", { target: FAR, flags: TcpFlag.Ack }), Unspecified);
  assert.deepEqual([node.counts()["egress_audited"], node.counts()["ingress_audited"]], [1, undefined]);
});

test("an answer that one end denies as what begins passes if the other end is in audit mode only", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, { in: ALLOW });
  node.policy.set(6, {});
  node.policy.enforce(B.row, 5, 1);
  node.policy.enforce(A.row, 6, 2, "audit");
  assert.equal(await node.answer("from_pod", { flags: TcpFlag.Ack }), Unspecified);
  const { egress_audited, egress_denied } = node.counts();
  assert.deepEqual([egress_audited, egress_denied], [1, undefined]);
  node.policy.enforce(A.row, 6, 3);
  assert.equal(await node.answer("from_pod", { flags: TcpFlag.Ack }), Drop);
});

test("in audit mode an ICMP error about a flow that nobody knows passes", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, {});
  node.policy.enforce(A.row, 5, 1, "audit");
  const sent = { source: A.address, target: FAR, sourceMac: A.mac, flags: TcpFlag.Ack } as const;
  const tooBig = {
    ...{ source: OTHER_NODE, target: A.address, protocol: ICMP, sourcePort: 0x0304 },
    quoted: quote(makePacket(sent)),
  };
  assert.equal(await node.run("from_network", tooBig, UPLINK), Unspecified);
  assert.equal(await node.run("to_pod", tooBig), Unspecified);
  assert.equal(node.counts()["ingress_audited"], 2);
  node.policy.enforce(A.row, 5, 2);
  assert.equal(await node.run("to_pod", tooBig), Drop);
});

test("what passes in audit mode is counted each time, and its events are limited as drops are", async (t) => {
  const node = makePolicyNode(t);
  node.events().want([EventKind.Audited]);
  node.policy.set(5, {});
  node.policy.enforce(A.row, 5, 1, "audit");
  for (let i = 0; i < 300; i++) assert.equal(await node.run("from_pod", { sourcePort: 1000 + i }), Redirect);
  const { egress_audited, event_limited = 0 } = node.counts();
  assert.equal(egress_audited, 300);
  // The runs take a while, in which there may be more.
  assert.ok(event_limited > 100 && event_limited <= 280, `${event_limited}`);
});

test("another pod's entry of the same ports says nothing for a new pod", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, { in: ALLOW });
  node.policy.enforce(B.row, 5, 1);
  assert.equal(await node.run("from_pod"), Redirect);
  node.policy.set(6, {});
  node.policy.enforce(B.row, 6, 2);
  assert.equal(await node.run("from_pod", { flags: TcpFlag.Ack }), Drop);
});

/** The sum of the words of a message with a right checksum is 0xffff. */
function onesComplement(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}
