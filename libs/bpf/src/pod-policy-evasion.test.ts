/** Attempts to get past policies of pods, packet in, packet out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SCTP, TCP, UDP } from "@isthmus/model";
import { DropReason, EventKind, FlowFlag, KnownIdentity } from "./gen/index.js";
import { ICMP, makePacket, type PacketFields, quote, TcpFlag } from "./testing/packets.js";
import {
  A,
  B,
  FAR,
  ID_B,
  ID_FAR,
  makePolicyNode,
  NODE,
  OTHER_NODE,
  UNMANAGED,
  UPLINK,
  WORLD,
} from "./testing/policy-node.js";
import { ALLOW, DENY } from "./testing/policy-rows.js";
import { TcAction } from "./testing/skb-run.js";

const { Drop, Redirect, Unspecified } = TcAction;
const [FIRST, LATER] = [
  { fragment: 0x2000, payload: 1000 },
  { fragment: 126, payload: 1000 },
];
const [ECHO, ECHO_REPLY] = [0x0800, 0x0000];
/** What the stack received on the uplink. */
const PASSED_ON = { ingressIfindex: UPLINK };

for (const [what, fields] of [
  ["TCP", { protocol: TCP }],
  ["UDP", { protocol: UDP }],
  ["SCTP", { protocol: SCTP }],
  ["ICMP", { protocol: ICMP, sourcePort: ECHO }],
] as const)
  test(`IP options hide no port: ${what} passes where all ports do`, async (t) => {
    const node = makePolicyNode(t);
    const packet = { ...fields, headerLength: 24 };
    // All but one port, and the row of port 0, where one would be looked for that was not read.
    node.policy.class(1, [{}, { protocol: fields.protocol, port: fields.protocol === ICMP ? ECHO : 80, allow: false }]);
    node.policy.class(2, [{ protocol: fields.protocol, port: 0 }]);
    for (const [set, verdict, expected] of [
      [5, { class: 1 }, Drop],
      [6, { class: 2 }, Drop],
      [7, DENY, Drop],
      [8, ALLOW, Unspecified],
    ] as const) {
      node.policy.set(set, { in: verdict, out: verdict });
      node.policy.enforce(B.row, set, set);
      assert.equal(await node.run("from_pod", packet), expected, `in, set ${set}`);
      assert.equal(await node.run("to_pod", { ...packet, source: WORLD }, B.ifindex), expected, `to_pod, set ${set}`);
      assert.equal(await node.run("from_network", { ...packet, source: FAR }, UPLINK), expected, `network, set ${set}`);
      node.policy.enforce(B.row, 0, 0);
      node.policy.enforce(A.row, set, set);
      assert.equal(await node.run("from_pod", packet), expected, `out, set ${set}`);
      node.policy.enforce(A.row, 0, 0);
    }
  });

test("a protocol without ports passes with IP options as without them", async (t) => {
  const node = makePolicyNode(t);
  node.policy.class(1, [{ protocol: 2 }]);
  node.policy.set(5, { out: { class: 1 } });
  node.policy.enforce(A.row, 5, 1);
  const report = { target: "224.0.0.22", headerLength: 24 };
  assert.equal(await node.run("from_pod", { ...report, protocol: 2 }), Unspecified);
  assert.equal(await node.run("from_pod", { ...report, protocol: 47 }), Drop);
});

for (const target of [B.address, FAR, WORLD, NODE])
  test(`fragments without a first one leave no pod whose policy denies the flow, to ${target}`, async (t) => {
    const node = makePolicyNode(t);
    node.policy.class(1, [{ protocol: UDP, port: 53 }]);
    const send = (id: number, fields: Partial<PacketFields>) =>
      node.run("from_pod", { target, protocol: UDP, id, ...fields });
    const passes = target === B.address || target === FAR ? Redirect : Unspecified;
    node.policy.set(5, {});
    node.policy.enforce(A.row, 5, 1);
    assert.equal(await send(1, LATER), Drop);
    node.policy.set(6, { out: { class: 1 } });
    node.policy.enforce(A.row, 6, 2);
    assert.equal(await send(2, LATER), Drop);
    assert.deepEqual([await send(3, FIRST), await send(3, LATER)], [Drop, Drop]);
    const allowed = { ...FIRST, targetPort: 53 };
    assert.deepEqual([await send(4, allowed), await send(4, LATER)], [passes, passes]);
    assert.equal(await send(4, { ...LATER, protocol: TCP }), Drop, "of another protocol");
    assert.deepEqual(node.counts()["egress_denied"], 5);
    node.policy.set(7, { out: ALLOW });
    node.policy.enforce(A.row, 7, 3);
    assert.equal(await send(5, LATER), Unspecified, "where all ports are allowed");
    node.policy.enforce(A.row, 5, 4, "audit");
    assert.equal(await send(6, LATER), Unspecified, "in audit mode");
  });

for (const [program, source, ifindex] of [
  ["from_pod", A.address, A.ifindex],
  ["from_network", FAR, UPLINK],
  ["to_pod", FAR, B.ifindex],
  ["to_pod", WORLD, B.ifindex],
] as const)
  test(`fragments without a first one reach no pod whose policy denies the flow, by ${program} from ${source}`, async (t) => {
    const node = makePolicyNode(t);
    node.policy.class(1, [{ protocol: UDP, port: 53 }]);
    node.policy.set(5, { in: { class: 1 }, out: ALLOW });
    node.policy.enforce(B.row, 5, 1);
    const send = (id: number, fields: Partial<PacketFields>) =>
      node.run(program, { source, protocol: UDP, id, ...fields }, ifindex);
    const passes = program === "to_pod" ? Unspecified : Redirect;
    assert.equal(await send(1, LATER), Drop);
    assert.deepEqual([await send(2, FIRST), await send(2, LATER)], [Drop, Drop]);
    assert.deepEqual([await send(3, { ...FIRST, targetPort: 53 }), await send(3, LATER)], [passes, passes]);
    assert.equal(node.counts()["ingress_denied"], 3);
  });

for (const [what, setOfB] of [
  ["without a policy", 0],
  ["with a policy of the same revision", 5],
] as const)
  test(`a pod ${what} sends no ICMP error about the flow of two others`, async (t) => {
    const node = makePolicyNode(t);
    node.policy.set(5, {});
    node.policy.peer(5, ID_FAR, { in: ALLOW, out: ALLOW });
    node.policy.enforce(A.row, 5, 1);
    node.policy.enforce(B.row, setOfB, setOfB && 1);
    for (const [source, pod] of [
      [A.address, A],
      [B.address, B],
    ] as const)
      assert.notEqual(
        await node.run("from_pod", { source, sourceMac: pod.mac, target: FAR, protocol: UDP }, pod.ifindex),
        Drop,
      );
    const sent = quote(makePacket({ source: A.address, target: FAR, protocol: UDP }));
    const error = { target: A.address, protocol: ICMP, sourcePort: 0x0303, quoted: sent };
    assert.equal(await node.run("from_pod", { ...error, source: B.address, sourceMac: B.mac }, B.ifindex), Drop);
    for (const [program, ifindex] of [
      ["from_network", UPLINK],
      ["to_pod", A.ifindex],
    ] as const) {
      const strange = "10.2.0.10";
      node.policy.identity(strange, ID_B + 1);
      assert.equal(await node.run(program, { ...error, source: strange }, ifindex), Drop, program);
      node.policy.identity(strange, UNMANAGED);
      for (const source of [FAR, OTHER_NODE, NODE, WORLD, strange])
        assert.notEqual(await node.run(program, { ...error, source }, ifindex), Drop, `${program} from ${source}`);
    }
  });

test("an ICMP error of the other pod of a flow passes, on one node", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, { out: ALLOW });
  node.policy.set(6, { in: ALLOW });
  node.policy.enforce(A.row, 5, 1);
  node.policy.enforce(B.row, 6, 2);
  assert.equal(await node.run("from_pod", { protocol: UDP }), Redirect);
  const quoted = quote(makePacket({ source: A.address, target: B.address, protocol: UDP }));
  const error = { source: B.address, sourceMac: B.mac, target: A.address, protocol: ICMP, sourcePort: 0x0303, quoted };
  assert.equal(await node.run("from_pod", error, B.ifindex), Redirect);
});

test("an end that may answer a ping may not begin one with its id", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, { out: ALLOW });
  node.policy.enforce(A.row, 5, 1);
  const ping = { protocol: ICMP, sourcePort: ECHO, targetPort: 7 };
  assert.equal(await node.run("from_pod", ping), Redirect);
  assert.equal(await node.answer("from_pod", { ...ping, sourcePort: ECHO_REPLY }), Redirect);
  assert.equal(await node.answer("from_pod", ping), Drop);
  node.policy.set(6, { in: ALLOW, out: ALLOW });
  node.policy.enforce(A.row, 6, 2);
  assert.equal(await node.answer("from_pod", ping), Redirect);
  assert.equal(await node.run("from_pod", { ...ping, sourcePort: ECHO_REPLY }), Redirect);
});

for (const [what, flag] of [
  ["RST", TcpFlag.Rst],
  ["FIN", TcpFlag.Fin],
] as const)
  test(`a SYN with ${what} of the end that did not begin the flow is no answer`, async (t) => {
    const node = makePolicyNode(t);
    node.policy.set(5, { out: ALLOW });
    node.policy.enforce(A.row, 5, 1);
    assert.equal(await node.run("from_pod"), Redirect);
    assert.equal(await node.answer("from_pod", { flags: TcpFlag.Syn | flag }), Drop);
    assert.equal(await node.answer("from_pod", { flags: flag | TcpFlag.Ack }), Redirect);
  });

test("what is picked up as an answer lets no SYN pass later", async (t) => {
  const node = makePolicyNode(t);
  node.policy.set(5, { out: ALLOW });
  node.policy.enforce(A.row, 5, 1);
  for (const flags of [TcpFlag.Ack, TcpFlag.Rst, TcpFlag.Fin, TcpFlag.Syn | TcpFlag.Ack]) {
    node.forgetFlows();
    assert.equal(await node.answer("from_pod", { flags }), Unspecified);
    assert.equal(await node.answer("from_pod", { flags: TcpFlag.Syn }), Drop, `after ${flags}`);
    const [flow] = node.flows();
    assert.equal((flow?.flags.get(`${A.address}:40000`) ?? 0) & FlowFlag.Initiator, FlowFlag.Initiator);
  }
});

test("what a node passes on with its own address is not from the node", async (t) => {
  const node = makePolicyNode(t);
  const WIDE = (4095 << 20) | 7;
  node.policy.set(5, { out: ALLOW });
  node.policy.enforce(B.row, 5, 1);
  const packet = { source: NODE };
  const send = (port: number, ingressIfindex: number) =>
    node.run("to_pod", { ...packet, sourcePort: port }, B.ifindex, { ingressIfindex });
  assert.equal(await send(1, 0), Unspecified, "its own process");
  assert.equal(await send(2, UPLINK), Drop, "what came by the uplink");
  assert.equal(await send(3, A.ifindex), Drop, "what a pod sent");
  assert.equal(await send(4, B.ifindex), Unspecified, "what the pod itself sent to a Service that it is a backend of");
  assert.equal(await send(1, UPLINK), Unspecified, "of the flow that its process began");
  node.policy.peer(5, WIDE, { in: ALLOW });
  node.policy.enforce(B.row, 5, 2);
  assert.equal(await send(5, UPLINK), Drop);
  node.policy.prefix("192.168.9.0/24", WIDE);
  assert.equal(await send(6, UPLINK), Unspecified, "where a rule allows its prefix");
});

for (const [program, target, id, ifindex] of [
  ["to_pod", B.address, ID_B, B.ifindex],
  ["to_network", FAR, ID_FAR, UPLINK],
] as const)
  test(`what another proxy sends to a pod that the sender's policy denies is dropped in ${program}`, async (t) => {
    const node = makePolicyNode(t);
    node.events().want([EventKind.Drop]);
    node.policy.set(5, { out: ALLOW });
    node.policy.peer(5, id, { out: DENY });
    node.policy.enforce(A.row, 5, 1);
    const [vip, context] = ["10.96.0.1", { ingressIfindex: A.ifindex }];
    for (const protocol of [TCP, UDP]) {
      assert.equal(await node.run("from_pod", { target: vip, protocol }), Unspecified);
      assert.equal(await node.run(program, { target, protocol }, ifindex, context), Drop);
    }
    const [event] = await node.readEvents(1);
    assert.deepEqual([event?.reason, event?.targetIdentity, event?.ifindex], [DropReason.EgressDenied, id, A.ifindex]);
    node.policy.set(6, { out: ALLOW });
    node.policy.enforce(A.row, 6, 2);
    assert.equal(await node.run(program, { target }, ifindex, context), Unspecified);
    for (const fields of [FIRST, LATER])
      assert.equal(await node.run(program, { target, protocol: UDP, ...fields }, ifindex, context), Unspecified);
  });

for (const target of ["224.0.0.1", "239.1.2.3", "255.255.255.255"])
  test(`what goes to ${target} is for the node`, async (t) => {
    const node = makePolicyNode(t);
    node.policy.prefix("0.0.0.0/0", (4095 << 20) | 7);
    node.policy.set(5, { out: ALLOW });
    node.policy.peer(5, KnownIdentity.Host, { out: DENY });
    node.policy.enforce(A.row, 5, 1);
    assert.equal(await node.run("from_pod", { target, protocol: UDP }), Drop);
    node.policy.set(6, {});
    node.policy.peer(6, KnownIdentity.Host, { out: ALLOW });
    node.policy.enforce(A.row, 6, 2);
    assert.equal(await node.run("from_pod", { target, protocol: UDP }), Unspecified);
  });

test("a rule for a protocol allows no other", async (t) => {
  const node = makePolicyNode(t);
  node.policy.class(1, [{ protocol: TCP }, { protocol: UDP }]);
  node.policy.set(5, { in: { class: 1 } });
  node.policy.enforce(B.row, 5, 1);
  for (const protocol of [0, 2, 4, 41, 47, 50, 51, 99, 132, 136, 255]) {
    assert.equal(await node.run("from_pod", { protocol }), Drop, `${protocol}`);
    assert.equal(await node.run("to_pod", { protocol, source: WORLD }, B.ifindex, PASSED_ON), Drop, `${protocol}`);
  }
});

test("the event of what is denied in both directions names the rule and the identity of the one that its reason is of", async (t) => {
  const node = makePolicyNode(t);
  node.events().want([EventKind.Drop]);
  node.policy.set(5, { in: { allow: false, rule: 9 }, out: { allow: false, rule: 4 } });
  node.policy.enforce(A.row, 5, 1);
  node.policy.set(6, { in: ALLOW });
  node.policy.enforce(B.row, 6, 2);
  assert.equal(await node.run("from_pod", { flags: TcpFlag.Ack }), Drop);
  node.policy.set(7, { in: ALLOW, out: { allow: false, rule: 4 } });
  node.policy.enforce(A.row, 7, 3);
  assert.equal(await node.run("from_pod", { flags: TcpFlag.Ack }), Drop);
  const events = (await node.readEvents(2)).map((event) => [
    ...[event.reason, event.rule, event.sourceIdentity, event.targetIdentity],
  ]);
  const expected = [DropReason.EgressDenied, 4, 0, ID_B];
  assert.deepEqual(events, [expected, expected]);
});
