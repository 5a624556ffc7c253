/** The events of the programs on a node's devices: what they say, which are asked for, limits, a full ring. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type Address, formatAddress, UDP } from "@isthmus/model";
import {
  DropReason,
  EventFlag,
  EventKind,
  EventLimit,
  EventPoint,
  MAP_NAMES,
  PacketEvent,
  Verdict,
} from "./gen/index.js";
import { makeNetns, makeVeth } from "./testing/netns.js";
import { ICMP, makePacket, type PacketFields, TcpFlag } from "./testing/packets.js";
import { loadPodPrograms, type PodProgram } from "./testing/pod-programs.js";

const A = { address: "10.1.0.1", ifindex: 11, mac: "02:00:00:00:0a:01", hostMac: "02:00:00:00:0a:02" };
const B = { address: "10.1.0.2", ifindex: 12, mac: "02:00:00:00:0b:01", hostMac: "02:00:00:00:0b:02" };
const UPLINK = 13;
const FAR = "10.2.0.9";
const ALL = [EventKind.FlowNew, EventKind.FlowPickedUp, EventKind.FlowClosed, EventKind.Drop];
const FIN_ACK = TcpFlag.Fin | TcpFlag.Ack;
/** An event that is not written would be awaited for ever. */
const LIMIT = { timeout: 60_000 };

function setUp(t: TestContext, { kinds = ALL as readonly number[], ringBytes = 1 << 20 } = {}) {
  const netns = makeNetns(t);
  for (const [i, name] of ["a", "b", "up"].entries()) makeVeth(netns, `${name}0`, `${name}1`, A.ifindex + i);
  netns.ip("addr", "add", "192.168.9.1/24", "dev", "up0");
  netns.ip("route", "add", "10.2.0.0/16", "via", "192.168.9.2");
  netns.sysctl("net.ipv4.ip_forward=1");
  const programs = loadPodPrograms(t, { flows: 65_536, entries: { [MAP_NAMES.events]: ringBytes } });
  programs.addPod(A);
  programs.addPod(B);
  programs.addRange("10.1.0.0/16", 1);
  programs.addRange("10.2.0.0/16", 2);
  programs.events().want(kinds);
  const run = (program: PodProgram, fields: Partial<PacketFields> = {}, ifindex = A.ifindex) =>
    programs.run(
      program,
      makePacket({ source: A.address, target: B.address, sourceMac: A.mac, ...fields }),
      { ifindex },
      netns.path,
    );
  const answer = (program: PodProgram, fields: Partial<PacketFields> = {}) =>
    run(
      program,
      { source: B.address, target: A.address, sourcePort: 80, targetPort: 40_000, sourceMac: B.mac, ...fields },
      B.ifindex,
    );
  return { ...programs, run, answer };
}

const ends = ({ source, sourcePort, target, targetPort }: PacketEvent) =>
  `${formatAddress(source as Address)}:${sourcePort} > ${formatAddress(target as Address)}:${targetPort}`;

const KIND = new Map<number, string>(Object.entries(EventKind).map(([name, value]) => [value, name]));

test("the first packet and the close of a flow are an event each, and nothing between them is", LIMIT, async (t) => {
  const node = setUp(t);
  await node.run("from_pod", { payload: 7 });
  await node.answer("from_pod", { flags: TcpFlag.Syn | TcpFlag.Ack });
  await node.run("from_pod", { flags: TcpFlag.Ack });
  await node.run("from_pod", { flags: FIN_ACK });
  await node.answer("from_pod", { flags: FIN_ACK });
  await node.run("from_pod", { flags: TcpFlag.Ack });
  await node.run("from_pod", { flags: TcpFlag.Rst });
  await node.run("from_pod", { sourcePort: 9 });
  const [first, closed, last, ...more] = await node.readEvents(3);
  assert.ok(first && closed && last);
  assert.deepEqual(more, []);
  assert.deepEqual(
    [first.version, first.kind, first.point, first.verdict, first.reason, first.flags],
    [EventLimit.Version, EventKind.FlowNew, EventPoint.FromPod, Verdict.Deliver, 0, 0],
  );
  assert.equal(ends(first), "10.1.0.1:40000 > 10.1.0.2:80");
  assert.deepEqual([first.proto, first.tcp, first.length, first.ifindex], [6, TcpFlag.Syn, 47, A.ifindex]);
  assert.deepEqual([closed.kind, closed.flags, closed.ifindex], [EventKind.FlowClosed, EventFlag.Reply, B.ifindex]);
  assert.equal(ends(closed), "10.1.0.2:80 > 10.1.0.1:40000");
  assert.deepEqual([last.kind, last.sourcePort], [EventKind.FlowNew, 9]);
  assert.ok(first.time < closed.time && closed.time < last.time);
  assert.deepEqual([first.service, first.rule, first.sourceIdentity, first.vipPort], [0, 0, 0, 0]);
});

test("the sequence number of a SYN is in its event", LIMIT, async (t) => {
  const node = setUp(t);
  const packet = makePacket({ source: A.address, target: B.address, sourceMac: A.mac });
  packet.writeUInt32BE(0x11223344, 14 + 20 + 4);
  await node.run("from_pod", { sourcePort: 9, flags: TcpFlag.Ack });
  await node.program("to_pod", packet);
  const [pickedUp, first] = await node.readEvents(2);
  assert.deepEqual([pickedUp?.kind, pickedUp?.verdict, pickedUp?.isn], [EventKind.FlowPickedUp, Verdict.Pass, 0]);
  assert.deepEqual([first?.isn, first?.verdict, first?.point], [0x11223344, Verdict.Pass, EventPoint.ToPod]);
});

test(
  "a flow between nodes is an event at each end: the device is that of the pod, where it is known",
  LIMIT,
  async (t) => {
    const node = setUp(t);
    await node.run("from_pod", { target: FAR });
    await node.run("from_network", { source: FAR, target: B.address }, UPLINK);
    await node.run("to_network", { target: FAR, sourcePort: 9 }, UPLINK);
    const events = await node.readEvents(3);
    assert.deepEqual(
      events.map(({ point, verdict, ifindex }) => [point, verdict, ifindex]),
      [
        [EventPoint.FromPod, Verdict.Forward, A.ifindex],
        [EventPoint.FromNetwork, Verdict.Deliver, B.ifindex],
        [EventPoint.ToNetwork, Verdict.Pass, UPLINK],
      ],
    );
  },
);

test("of an echo the event has type and id, of a datagram the ports", LIMIT, async (t) => {
  const node = setUp(t);
  await node.run("from_pod", { protocol: ICMP, sourcePort: 0x0800, targetPort: 7 });
  await node.run("from_pod", { protocol: UDP, sourcePort: 5000, targetPort: 53 });
  const [echo, datagram] = await node.readEvents(2);
  assert.deepEqual(
    [echo?.proto, echo?.icmpType, echo?.icmpCode, echo?.sourcePort, echo?.targetPort],
    [ICMP, 8, 0, 7, 7],
  );
  assert.deepEqual([datagram?.proto, datagram?.sourcePort, datagram?.targetPort], [UDP, 5000, 53]);
});

test("a drop has its reason, and the device of the pod that sent it, whatever its source says", LIMIT, async (t) => {
  const node = setUp(t);
  await node.run("from_pod", { source: B.address });
  const malformed = makePacket({ source: A.address, target: B.address, sourceMac: A.mac });
  malformed[14] = 0x44;
  await node.program("from_pod", malformed);
  const [spoofed, broken] = await node.readEvents(2);
  assert.deepEqual(
    [spoofed?.kind, spoofed?.verdict, spoofed?.reason, spoofed?.ifindex],
    [EventKind.Drop, Verdict.Drop, DropReason.SpoofedSource, A.ifindex],
  );
  assert.equal(spoofed && ends(spoofed), "10.1.0.2:40000 > 10.1.0.2:80");
  assert.deepEqual([broken?.reason, broken?.proto], [DropReason.Malformed, 0]);
});

test(
  "programs write only the kinds that are asked for, and ask nothing of the ring for the others",
  LIMIT,
  async (t) => {
    const node = setUp(t, { kinds: [EventKind.Drop], ringBytes: 4096 });
    for (let port = 1; port <= 100; port++) await node.run("from_pod", { sourcePort: port });
    await node.run("from_pod", { source: FAR });
    const events = await node.readEvents(1);
    assert.deepEqual(
      events.map(({ kind }) => KIND.get(kind)),
      ["Drop"],
    );
    node.events().want([]);
    await node.run("from_pod", { source: FAR });
    node.events().want(ALL);
    await node.run("from_pod", { sourcePort: 101 });
    assert.deepEqual(
      (await node.readEvents(1)).map(({ kind }) => KIND.get(kind)),
      ["FlowNew"],
    );
    assert.deepEqual(node.events().counts(), { limited: 0, lost: 0 });
  },
);

test(
  "drops above the limit of an endpoint and a reason are counted, and the next event says how many",
  LIMIT,
  async (t) => {
    const node = setUp(t);
    const drops = 5 * EventLimit.DropsBurst;
    const began = performance.now();
    for (let i = 0; i < drops; i++) await node.run("from_pod", { source: FAR });
    const tookS = (performance.now() - began) / 1000;
    const { limited, lost } = node.events().counts();
    const written = drops - limited;
    const most = EventLimit.DropsBurst + Math.ceil(tookS * EventLimit.DropsPerS);
    assert.ok(written >= EventLimit.DropsBurst && written <= most, `${written} of at most ${most}`);
    assert.equal(lost, 0);
    // Another reason, and another pod, have a limit of their own.
    await node.run("from_pod", { source: FAR }, B.ifindex);
    await node.run("from_pod", { sourcePort: 9 });
    const events = await node.readEvents(written + 2);
    assert.deepEqual(
      events.slice(written).map(({ ifindex, kind, limited }) => [ifindex, KIND.get(kind), limited]),
      [
        [B.ifindex, "Drop", 0],
        [A.ifindex, "FlowNew", 0],
      ],
    );
    let counted = limited;
    for (let passed = false; !passed; ) {
      await node.run("from_pod", { source: FAR });
      const now = node.events().counts().limited;
      passed = now === counted;
      counted = now;
    }
    const [next] = await node.readEvents(1);
    const reported = [...events, next].reduce((sum, event) => sum + (event?.limited ?? 0), 0);
    assert.equal(reported, node.events().counts().limited);
  },
);

test("events that find the ring full are counted, and those before them are kept", LIMIT, async (t) => {
  const node = setUp(t, { ringBytes: 4096 });
  const fits = Math.floor(4096 / (PacketEvent.size + 8));
  for (let port = 1; port <= 2 * fits; port++) await node.run("from_pod", { sourcePort: port });
  const { limited, lost } = node.events().counts();
  // The kernel keeps some bytes between the newest record and the oldest free.
  assert.ok(lost >= fits && lost <= fits + 1, `${lost} of ${fits}`);
  assert.equal(limited, 0);
  const events = await node.readEvents(2 * fits - lost);
  assert.deepEqual(
    events.map(({ sourcePort }) => sourcePort),
    events.map((_, i) => i + 1),
  );
});
