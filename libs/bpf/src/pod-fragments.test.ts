/** Fragments in the programs on a node's devices, packet in, packet out: which way those of a datagram go. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { parseAddress, TCP, UDP } from "@isthmus/model";
import { EventKind, FragmentFlag, FragmentKey, FragmentRow, Limit, MAP_NAMES } from "./gen/index.js";
import { native } from "./native.js";
import { makeNetns, makeVeth } from "./testing/netns.js";
import { ICMP, makePacket, type PacketFields, readPacket, TcpFlag } from "./testing/packets.js";
import { loadPodPrograms, type PodProgram } from "./testing/pod-programs.js";
import { TcAction } from "./testing/skb-run.js";

const A = { address: "10.1.0.1", ifindex: 11, mac: "02:00:00:00:0a:01", hostMac: "02:00:00:00:0a:02" };
const B = { address: "10.1.0.2", ifindex: 12, mac: "02:00:00:00:0b:01", hostMac: "02:00:00:00:0b:02" };
const UPLINK = 13;
const NEXT_HOP = "02:00:00:00:0c:02";
const FAR = "10.2.0.9";
const WORLD = "192.0.2.1";
/** `MARK_FORWARDED` of bpf/lib/deliver.h. */
const FORWARDED = 0x4d451203;
const GRE = 47;
const { Redirect, Unspecified, Drop } = TcAction;

/** Flags and offsets of the IPv4 header: "more fragments", and 8 bytes. */
const FIRST = { fragment: 0x2000, payload: 1000 };
const MIDDLE = { fragment: 0x2000 | 125, payload: 1000 };
const LAST = { fragment: 250 };
const ALL = [FIRST, MIDDLE, LAST];
const ECHO = { protocol: ICMP, sourcePort: 0x0800, targetPort: 7 };

/** A node with the pods A and B, an uplink, and a route to the pods of other nodes. */
function setUp(t: TestContext) {
  const netns = makeNetns(t);
  for (const [i, name] of ["a", "b", "up"].entries()) makeVeth(netns, `${name}0`, `${name}1`, A.ifindex + i);
  netns.ip("addr", "add", "192.168.9.1/24", "dev", "up0");
  netns.ip("route", "add", "10.2.0.0/16", "via", "192.168.9.2");
  netns.ip("neigh", "add", "192.168.9.2", "lladdr", NEXT_HOP, "dev", "up0");
  netns.sysctl("net.ipv4.ip_forward=1");
  const programs = loadPodPrograms(t);
  programs.addPod(A);
  programs.addPod(B);
  for (const range of ["10.1.0.0/16", "10.2.0.0/16"]) programs.addRange(range, 1);

  /** Runs a program on a packet of UDP from A to B, as far as `fields` say nothing else. */
  async function run(program: PodProgram, fields: Partial<PacketFields> = {}, ifindex = A.ifindex) {
    const packet = makePacket({ source: A.address, target: B.address, sourceMac: A.mac, protocol: UDP, ...fields });
    const { action, packet: after, context } = await programs.run(program, packet, { ifindex }, netns.path);
    const isChanged = Buffer.compare(after, packet) !== 0;
    return { action, mark: context.mark, isChanged, ...readPacket(after) };
  }

  /** The actions for these fragments, in this order, each with `fields` too. */
  async function actions(parts: readonly Partial<PacketFields>[], fields: Partial<PacketFields> = {}) {
    const all = [];
    for (const part of parts) all.push((await run("from_pod", { ...fields, ...part })).action);
    return all;
  }

  const map = programs.map(MAP_NAMES.fragments);
  const keyOf = ({ source = A.address, target = B.address, id = 0, protocol = UDP }: Partial<PacketFields>) =>
    FragmentKey.encode({ source: parseAddress(source), target: parseAddress(target), id, proto: protocol, space: 0 });
  /** The row of the datagram of such a packet. */
  const row = (of: Partial<PacketFields> = {}): FragmentRow | undefined => {
    const bytes = native().mapLookup(map, keyOf(of));
    return bytes && FragmentRow.decode(bytes);
  };
  const putRow = (change: Partial<FragmentRow>) => {
    const have = row();
    assert.ok(have);
    native().mapUpdate(map, keyOf({}), FragmentRow.encode({ ...have, ...change }), 0);
  };
  return { ...programs, netns, run, actions, row, putRow };
}

for (const [what, fields] of [
  ["UDP", {}],
  ["TCP", { protocol: TCP }],
  ["an echo", ECHO],
] as const) {
  test(`fragments of ${what} to a pod of this node go as the first one, of one flow`, async (t) => {
    const node = setUp(t);
    for (const part of ALL) {
      const { action, targetMac, sourceMac, ttl, checksumOk } = await node.run("from_pod", { ...fields, ...part });
      assert.deepEqual([action, targetMac, sourceMac, ttl, checksumOk], [Redirect, B.mac, B.hostMac, 63, true]);
    }
    assert.deepEqual([node.flows().length, node.counts()], [1, { flow_new: 1, deliver: 3 }]);
  });
}

test("fragments to another node leave by its route, with a mark", async (t) => {
  const node = setUp(t);
  for (const part of ALL) {
    const { action, targetMac, ttl, checksumOk, mark } = await node.run("from_pod", { target: FAR, ...part });
    assert.deepEqual([action, targetMac, ttl, checksumOk, mark], [Redirect, NEXT_HOP, 63, true, FORWARDED]);
  }
  assert.deepEqual(node.counts(), { flow_new: 1, forward: 3 });
});

test("fragments of another node go to their pod", async (t) => {
  const node = setUp(t);
  for (const part of ALL) {
    const from = { source: FAR, target: A.address, sourceMac: NEXT_HOP };
    const { action, targetMac, sourceMac, ttl } = await node.run("from_network", { ...from, ...part }, UPLINK);
    assert.deepEqual([action, targetMac, sourceMac, ttl], [Redirect, A.mac, A.hostMac, 63]);
  }
  assert.deepEqual(node.counts(), { flow_new: 1, deliver: 3 });
});

for (const program of ["to_pod", "to_network"] as const) {
  test(`fragments of answers to what ${program} saw of the stack go there, and its own leave no row`, async (t) => {
    const node = setUp(t);
    const request = { source: B.address, target: A.address, sourcePort: 80, targetPort: 40_000 };
    for (const part of ALL)
      assert.equal((await node.run(program, { ...request, ...part }, B.ifindex)).action, Unspecified);
    assert.equal(node.row(request), undefined);
    for (const part of ALL) {
      const { action, isChanged } = await node.run("from_pod", part);
      assert.deepEqual([action, isChanged], [Unspecified, false]);
    }
    assert.deepEqual(node.counts(), { flow_new: 1, to_stack: 3 });
  });
}

test("fragments of a connection that is picked up go through the stack", async (t) => {
  const node = setUp(t);
  const actions = await node.actions(ALL, { protocol: TCP, flags: TcpFlag.Ack });
  assert.deepEqual(actions, [Unspecified, Unspecified, Unspecified]);
  assert.deepEqual(node.counts(), { flow_picked_up: 1, to_stack: 3 });
});

test("a fragment before the first one takes all of its datagram through the stack, and no other", async (t) => {
  const node = setUp(t);
  assert.deepEqual(await node.actions([LAST, FIRST, MIDDLE]), [Unspecified, Unspecified, Unspecified]);
  assert.deepEqual(node.counts(), { flow_new: 1, fragment_unknown: 1, to_stack: 3 });
  assert.deepEqual(await node.actions(ALL, { id: 1 }), [Redirect, Redirect, Redirect]);
});

for (const [what, fields] of [
  ["id", { id: 1 }],
  ["protocol", { protocol: TCP }],
  ["target", { target: FAR }],
] as const) {
  test(`a fragment with another ${what} is of another datagram`, async (t) => {
    const node = setUp(t);
    assert.deepEqual(await node.actions([FIRST, { ...LAST, ...fields }, LAST]), [Redirect, Unspecified, Redirect]);
    assert.equal(node.counts()["fragment_unknown"], 1);
  });
}

test("an id that is used again has the way of the new datagram's flow", async (t) => {
  const node = setUp(t);
  // The flow of port 81 goes through the stack.
  await node.run("to_pod", { source: B.address, target: A.address, sourcePort: 81, targetPort: 40_000 }, B.ifindex);
  const other = { targetPort: 81 };
  assert.deepEqual(await node.actions(ALL), [Redirect, Redirect, Redirect]);
  assert.deepEqual(await node.actions(ALL, other), [Unspecified, Unspecified, Unspecified]);
  assert.deepEqual(await node.actions(ALL), [Redirect, Redirect, Redirect]);
  assert.equal(node.counts()["fragment_unknown"], undefined);
});

test("fragments that fit the route follow a first one that does not", async (t) => {
  const node = setUp(t);
  const actions = await node.actions([{ ...FIRST, payload: 1496 }, LAST], { target: FAR });
  assert.deepEqual(actions, [Unspecified, Unspecified]);
  assert.deepEqual(node.counts(), { flow_new: 1, to_stack: 2 });
});

for (const [what, fields] of [
  ["IP options", { headerLength: 24 }],
  ["the end of its TTL", { ttl: 1 }],
] as const) {
  test(`fragments follow a first one with ${what} to the stack`, async (t) => {
    const node = setUp(t);
    assert.deepEqual(await node.actions([{ ...FIRST, ...fields }, LAST]), [Unspecified, Unspecified]);
    assert.deepEqual(await node.actions([FIRST, { ...LAST, ...fields }], { id: 1 }), [Redirect, Unspecified]);
    assert.deepEqual(node.counts(), { flow_new: 1, deliver: 1, to_stack: 3 });
  });
}

test("fragments of an ICMP error and of a protocol without ports go through the stack", async (t) => {
  const node = setUp(t);
  for (const fields of [{ protocol: ICMP, sourcePort: 0x0301 }, { protocol: GRE }])
    assert.deepEqual(await node.actions(ALL, fields), [Unspecified, Unspecified, Unspecified]);
  assert.deepEqual(node.counts(), { to_stack: 6 });
});

test("fragments that are not between pods of the mesh are left alone and leave no row", async (t) => {
  const node = setUp(t);
  assert.deepEqual(await node.actions(ALL, { target: WORLD }), [Unspecified, Unspecified, Unspecified]);
  for (const part of ALL)
    assert.equal((await node.run("from_network", { source: WORLD, ...part })).action, Unspecified);
  assert.deepEqual(
    [node.row({ target: WORLD }), node.row({ source: WORLD }), node.counts()],
    [undefined, undefined, {}],
  );
});

test("a row counts for 30 s: later fragments miss an older one, and it binds no first one", async (t) => {
  const node = setUp(t);
  await node.actions([FIRST]);
  const seen = node.row()?.seen ?? 0;
  const ago = (units: number) => (seen - units) & 0xffff;
  node.putRow({ seen: ago(Limit.FragmentAge - 5) });
  assert.deepEqual(await node.actions([LAST]), [Redirect]);
  // As another CPU writes it while this one has read the clock already.
  node.putRow({ seen: ago(-1) });
  assert.deepEqual(await node.actions([LAST]), [Redirect]);
  node.putRow({ seen: ago(Limit.FragmentAge + 1) });
  assert.deepEqual(await node.actions([LAST, FIRST]), [Unspecified, Unspecified]);
  node.putRow({ seen: ago(Limit.FragmentAge + 1) });
  assert.deepEqual(await node.actions([FIRST, LAST]), [Redirect, Redirect]);
  assert.equal(node.counts()["fragment_unknown"], 1);
});

test("the row of another datagram, whose memory was reused, is a miss", async (t) => {
  const node = setUp(t);
  await node.actions([FIRST]);
  const { check = 0 } = node.row() ?? {};
  node.putRow({ check: (check ^ 1) >>> 0 });
  assert.deepEqual(await node.actions([LAST]), [Unspecified]);
  // Once when it was looked up, and once when another was to be inserted.
  const { check_mismatch, fragment_unknown } = node.counts();
  assert.deepEqual([check_mismatch, fragment_unknown], [2, 1]);
  assert.deepEqual([node.row()?.check, node.row()?.flags], [check, FragmentFlag.ViaStack]);
});

test("one that begins datagrams without end pushes out rows, whose fragments go through the stack", async (t) => {
  const node = setUp(t);
  const [others, flood] = [500, 20_000];
  for (let id = 0; id < others; id++) await node.actions([FIRST], { id });
  const flooder = { source: B.address, sourceMac: B.mac, target: A.address };
  for (let id = 0; id < flood; id++) await node.run("from_pod", { ...FIRST, ...flooder, id }, B.ifindex);
  const ways = [];
  for (let id = 0; id < others; id++) ways.push(...(await node.actions([LAST], { id })));
  const pushedOut = ways.filter((way) => way === Unspecified).length;
  // The kernel lets go of the oldest, but for some on each CPU.
  assert.ok(pushedOut > 0, "no row was pushed out");
  assert.equal(node.counts()["fragment_unknown"], pushedOut);
  assert.deepEqual(await node.actions(ALL, { id: others }), [Redirect, Redirect, Redirect]);
});

/** A first fragment of TCP with so many bytes of it, and bytes behind its end, as short frames have on a wire. */
function short(bytes: number): Buffer {
  const packet = makePacket({ source: A.address, target: B.address, sourceMac: A.mac, ...FIRST });
  packet.writeUInt16BE(20 + bytes, 14 + 2);
  return packet;
}

test("a fragment that splits the header of TCP is dropped when a pod sends it, and left alone elsewhere", async (t) => {
  const node = setUp(t);
  const offset = (fragment: number) =>
    makePacket({ source: A.address, target: B.address, sourceMac: A.mac, fragment, payload: 100 });
  for (const packet of [short(8), short(16), offset(1), offset(0x2001), offset(2)]) {
    const actions = [];
    for (const program of ["from_pod", "from_network", "to_pod", "to_network"] as const)
      actions.push((await node.program(program, packet)).action);
    assert.deepEqual(actions, [Drop, Unspecified, Unspecified, Unspecified]);
  }
  assert.deepEqual(node.counts(), { malformed: 5 });
  // Those behind the header, and behind the shorter ones of UDP and ICMP.
  for (const fields of [{ protocol: TCP, fragment: 3 }, { fragment: 1 }, { ...ECHO, fragment: 1 }])
    assert.deepEqual(await node.actions([{ ...fields, ...FIRST }, fields], { id: 1 }), [Redirect, Redirect]);
});

test("only the first fragment of a flow is an event", { timeout: 60_000 }, async (t) => {
  const node = setUp(t);
  node.events().want([EventKind.FlowNew, EventKind.FlowPickedUp, EventKind.FlowClosed, EventKind.Drop]);
  await node.actions(ALL);
  await node.actions([LAST, FIRST, MIDDLE], { id: 1 });
  await node.actions([FIRST], { targetPort: 81, id: 2 });
  const events = await node.readEvents(2);
  assert.deepEqual(
    events.map(({ kind, targetPort, proto, length }) => [kind, targetPort, proto, length]),
    [80, 81].map((port) => [EventKind.FlowNew, port, UDP, 1028]),
  );
});
