/** Connects to a Service whose backend is dead go to another one (bpf/lib/rescue.h), by real sockets. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type Address, formatAddress } from "@isthmus/model";
import { waitFor } from "@isthmus/runtime";
import { backendId } from "./backend-id.js";
import {
  EventFlag,
  EventKind,
  MoveReason,
  MoveReasonHelp,
  NatFlag,
  Proto,
  ServiceFlag,
  ServiceRow,
} from "./gen/index.js";
import { native } from "./native.js";
import { makePacket, TcpFlag } from "./testing/packets.js";
import { readEvents } from "./testing/read-events.js";
import {
  joinNodes,
  makeServiceNode,
  type ServiceNode,
  type ServiceNodeOptions,
  type ServicePod,
} from "./testing/service-node.js";
import { TcAction } from "./testing/skb-run.js";

const VIP = "10.96.0.1";
const SERVICE = 7;
/** Nothing listens there. */
const CLOSED = 9;

type Backend = readonly [pod: ServicePod, is: "alive" | "echo" | "dead"];

/** Adds a Service with these tiers of backends, by name; resolves to their ids. */
async function addService(node: ServiceNode, ...tiers: Readonly<Record<string, Backend>>[]): Promise<void> {
  let index = 1;
  const made = [];
  for (const backends of tiers) {
    const ids: number[] = [];
    for (const [name, [pod, is]] of Object.entries(backends)) {
      const proto = is === "echo" ? "echo" : "tcp";
      const port = is === "dead" ? CLOSED : await pod.sockets.server(proto, 4, pod.address, name);
      ids.push(node.write.backend({ index: index++, address: pod.address, port, node: nodeOf(pod) }));
    }
    made.push({ ids, tries: Math.min(ids.length, 2) - 1 });
  }
  await node.addService(SERVICE, VIP, 80, Proto.Tcp, made);
}

/** Index of the pod's node, by its range. */
const nodeOf = ({ address }: ServicePod) => Number(address.split(".")[1]);

/** From now on nothing that is sent to the pod arrives. */
const silence = (pod: ServicePod) => pod.netns.ip("link", "set", "eth0", "down");

/** A node with pods a, b, c and d. */
async function makeNode(t: TestContext, mechanism?: ServiceNodeOptions["mechanism"]) {
  const node = await makeServiceNode(t, mechanism === undefined ? {} : { mechanism });
  const [a, b] = [await node.addPod("10.1.0.1"), await node.addPod("10.1.0.2")];
  return { node, a, b, c: await node.addPod("10.1.0.3"), d: await node.addPod("10.1.0.4") };
}

/** Two nodes: the clients and a server on the first one, and servers on the other. */
async function makeNodes(t: TestContext, mechanism?: ServiceNodeOptions["mechanism"]) {
  const options = mechanism === undefined ? {} : { mechanism };
  const near = await makeServiceNode(t, options);
  const far = await makeServiceNode(t, { ...options, range: "10.2.0.0/16" });
  await joinNodes(near, far, { one: "10.1.0.0/16", other: "10.2.0.0/16" });
  const [a, b] = [await near.addPod("10.1.0.1"), await near.addPod("10.1.0.2")];
  return { near, far, a, b, c: await far.addPod("10.2.0.1"), d: await far.addPod("10.2.0.2") };
}

/** Of `count` connects about this share was moved. */
function assertMoved(node: ServiceNode, count: number, share: number): void {
  const { moved = 0, move_failed } = node.counts();
  assert.ok(Math.abs(moved - count * share) < count * 0.25, `${moved} of ${count} connects were moved`);
  assert.equal(move_failed, undefined);
}

const MECHANISMS = native().probeTcx() ? (["tcx", "clsact", "both"] as const) : (["clsact"] as const);

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

for (const offload of [true, false])
  test(`a moved connection carries data both ways, ${offload ? "with" : "without"} offloads`, async (t) => {
    const { near, far, a, c, d } = await makeNodes(t);
    if (!offload) {
      for (const feature of ["tx", "tso", "gso", "gro"] as const) {
        for (const pod of [a, c, d]) pod.netns.offload("eth0", feature, false);
        for (const node of [near, far]) node.netns.offload("up0", feature, false);
      }
    }
    await addService(near, { c: [c, "dead"], d: [d, "echo"] });
    for (let i = 0; near.counts()["moved"] === undefined; i++) {
      assert.ok(i < 50, "no connect was moved");
      const socket = await a.sockets.open("tcp", 4);
      await a.sockets.connect(socket, VIP, 80);
      assert.deepEqual(await a.sockets.peer(socket), [VIP, 80]);
      assert.equal(await a.sockets.exchange(socket, 1 << 20), true);
      await a.sockets.close(socket);
    }
  });

for (const mechanism of MECHANISMS)
  test(`${mechanism}: a moved connection goes on when its flows are forgotten`, async (t) => {
    const { near, a, c, d } = await makeNodes(t, mechanism);
    await addService(near, { c: [c, "dead"], d: [d, "echo"] });
    const sockets: number[] = [];
    while (near.counts()["moved"] === undefined) {
      const socket = await a.sockets.open("tcp", 4);
      await a.sockets.connect(socket, VIP, 80);
      sockets.push(socket);
      assert.ok(sockets.length < 50, "no connect was moved");
    }
    for (let i = 0; i < 3; i++) {
      near.forgetFlows();
      for (const socket of sockets) assert.equal(await a.sockets.exchange(socket, 100_000), true);
    }
  });

test("a move is an event with the flow, the Service, the reason, and the backend and the port that it has then", async (t) => {
  const { node, a, b, c } = await makeNode(t);
  await addService(node, { c: [c, "dead"] }, { b: [b, "alive"] });
  const gone = node.write.backend({ index: 20, address: "10.1.0.99", port: 80 });
  const events = node.datapath.packets?.events;
  assert.ok(events);
  events.want([EventKind.Moved]);
  assert.deepEqual(await a.sockets.dial(VIP, 80, 1, 4), { b: 1 });
  node.write.service(SERVICE, [{ ids: [gone] }, { ids: [backendId(1, 2)] }]);
  assert.deepEqual(await a.sockets.dial(VIP, 80, 1, 4), { b: 1 });
  const fronts = (await node.natRows()).filter(({ flags }) => flags & NatFlag.Front).map((row) => row.clientPort);
  const seen = await readEvents(events, 2);
  assert.deepEqual(
    seen.map(({ source, target, flags, moveReason }) => [
      formatAddress(source as Address),
      formatAddress(target as Address),
      flags,
      moveReason,
    ]),
    [
      [c.address, a.address, EventFlag.Reply, MoveReason.Refused],
      [a.address, "10.1.0.99", 0, MoveReason.NoRoute],
    ],
  );
  for (const event of seen)
    assert.deepEqual(
      [formatAddress(event.vip as Address), event.vipPort, event.service, event.backend],
      [VIP, 80, SERVICE, backendId(1, 2)],
    );
  assert.deepEqual(new Set(seen.map(({ wirePort }) => wirePort)), new Set(fronts));
  const counts = new Map(
    [MoveReason.Refused, MoveReason.NoRoute].map((reason) => [MoveReasonHelp.get(reason)?.name, 1]),
  );
  assert.deepEqual(node.datapath.packets?.serviceMoves(), [{ service: SERVICE, generation: 0, counts }]);
});

test("connects to a pod that is gone are moved, on its node and from another one", async (t) => {
  const { near, far, a, b, d } = await makeNodes(t);
  const ids = ["10.1.0.99", "10.2.0.99"].map((address, i) => near.write.backend({ index: 20 + i, address, port: 80 }));
  await addService(near, { b: [b, "alive"] }, { d: [d, "alive"] });
  for (const [id, node, counter] of [
    [ids[0], near, undefined],
    [ids[1], far, 50],
  ] as const) {
    near.write.service(SERVICE, [{ ids: [id ?? 0] }, { ids: [backendId(1, 1)] }]);
    const { moved = 0 } = near.counts();
    assert.deepEqual(await a.sockets.dial(VIP, 80, 50, 4), { b: 50 });
    assert.equal((near.counts()["moved"] ?? 0) - moved, 50);
    assert.equal(node.counts()["no_endpoint"], counter);
  }
});

test("an ICMP error that says that the backend is not there moves the connect, and one of a filter does not", async (t) => {
  const { near, far, a, b } = await makeNodes(t);
  await addService(near, { gone: [b, "dead"] }, { b: [b, "alive"] });
  await near.addRange("10.3.0.0/16", 1);
  near.netns.ip("route", "add", "10.3.0.0/16", "via", "192.168.9.2");
  // A limit of its own remains for routes: five errors at once, and then one a second.
  far.netns.sysctl("net.ipv4.icmp_ratelimit=0");
  far.netns.ip("route", "add", "unreachable", "10.3.0.1");
  far.netns.ip("route", "add", "prohibit", "10.3.0.2");
  const [gone, filtered] = ["10.3.0.1", "10.3.0.2"].map((address, i) =>
    near.write.backend({ index: 20 + i, address, port: 80 }),
  );
  const events = near.datapath.packets?.events ?? assert.fail();
  events.want([EventKind.Moved]);
  near.write.service(SERVICE, [{ ids: [gone ?? 0] }, { ids: [backendId(1, 2)] }]);
  assert.deepEqual(await a.sockets.dial(VIP, 80, 4, 4), { b: 4 });
  const reasons = (await readEvents(events, 4)).map(({ moveReason }) => moveReason);
  assert.deepEqual(reasons, Array(4).fill(MoveReason.Unreachable));
  near.write.service(SERVICE, [{ ids: [filtered ?? 0] }, { ids: [backendId(1, 2)] }]);
  await assert.rejects(a.sockets.dial(VIP, 80, 1, 4), { code: "EHOSTUNREACH" });
  const { moved, move_denied } = near.counts();
  assert.deepEqual([moved, move_denied], [4, 1]);
});

test("a RST is believed only from the backend and with the number of the SYN in flight", async (t) => {
  const { node, a, b, c } = await makeNode(t);
  await addService(node, { c: [c, "dead"] }, { b: [b, "alive"] });
  silence(c);
  const socket = await a.sockets.open("tcp", 4);
  const connected = a.sockets.connect(socket, VIP, 80);
  await waitFor("the SYN", () => node.flowsToServices().length === 1, { timeoutMs: 5000 });
  const [{ ends: [source] = [""], isn } = { isn: 0 }] = node.flowsToServices();
  const refusal = (from: ServicePod, ack: number) =>
    node.run(
      "from_pod",
      from.ifindex,
      makePacket({
        ...{ source: c.address, target: a.address, sourceMac: from.mac, flags: TcpFlag.Rst | TcpFlag.Ack, ack },
        ...{ sourcePort: CLOSED, targetPort: Number(source.split(":")[1]) },
      }),
    );
  assert.equal((await refusal(b, isn + 1)).action, TcAction.Drop, "another pod's");
  for (const ack of [isn, isn + 2, 0]) assert.equal((await refusal(c, ack)).action, TcAction.Drop, "of another SYN");
  assert.equal(node.counts()["moved"], undefined);
  const { packet } = await refusal(c, isn + 1);
  assert.ok(packet.length > 54, "it is a SYN with options");
  assert.equal(node.counts()["moved"], 1);
  // The run redirects nothing: the pod repeats its SYN, which goes to the backend that was chosen.
  await connected;
  assert.equal((await a.sockets.receive(socket)).data, "b");
});

for (const [what, proto, settings] of [
  ["MPTCP", "mptcp", []],
  ["SYN cookies", "tcp", ["net.ipv4.tcp_syncookies=2"]],
  ["window scaling and time stamps off", "tcp", ["net.ipv4.tcp_timestamps=0", "net.ipv4.tcp_window_scaling=0"]],
] as const)
  test(`connects are moved with ${what}`, async (t) => {
    const { node, a, b, c } = await makeNode(t);
    for (const pod of [a, b]) for (const setting of settings) pod.netns.sysctl(setting);
    await addService(node, { c: [c, "dead"] }, { b: [b, "echo"] });
    for (let i = 0; i < 10; i++) {
      const socket = await a.sockets.open(proto, 4);
      await a.sockets.connect(socket, VIP, 80);
      assert.equal(await a.sockets.exchange(socket, 100_000), true);
      assert.deepEqual(await a.sockets.peer(socket), [VIP, 80]);
      await a.sockets.close(socket);
    }
    assert.equal(node.counts()["moved"], 10);
  });

test("a connect with data in its SYN (TCP Fast Open) is moved, and its data arrives", async (t) => {
  const { node, a, b, c } = await makeNode(t);
  // Without a cookie, which no dead backend gives.
  a.netns.sysctl("net.ipv4.tcp_fastopen=5");
  for (const pod of [b, c]) pod.netns.sysctl("net.ipv4.tcp_fastopen=0x602");
  await addService(node, { c: [c, "dead"] }, { b: [b, "echo"] });
  for (let i = 0; i < 10; i++) {
    const socket = await a.sockets.open("tcp", 4);
    assert.equal(await a.sockets.fastopen(socket, VIP, 80, "hello"), 5);
    assert.equal((await a.sockets.receive(socket)).data, "hello");
    await a.sockets.close(socket);
  }
  assert.equal(node.counts()["moved"], 10);
});

test("a port that a moved connect has is refused to the pod, for the same backend alone", async (t) => {
  const { node, a, b, c } = await makeNode(t);
  await addService(node, { c: [c, "dead"] }, { b: [b, "echo"] });
  const socket = await a.sockets.open("tcp", 4);
  await a.sockets.connect(socket, VIP, 80);
  const [front] = (await node.natRows()).filter(({ flags }) => flags & NatFlag.Front);
  assert.ok(front);
  const own = await a.sockets.open("tcp", 4);
  await a.sockets.bind(own, a.address, front.clientPort);
  await assert.rejects(a.sockets.connect(own, b.address, front.peerPort), { code: "TIMEOUT" });
  assert.ok((node.counts()["port_taken"] ?? 0) > 0);
  assert.equal(await a.sockets.exchange(socket, 10_000), true, "the connection that has it goes on");
});

test("a connect to a pod is refused, whatever Services it is a backend of", async (t) => {
  const { node, a, b, c } = await makeNode(t);
  await addService(node, { b: [b, "alive"], c: [c, "dead"] });
  await assert.rejects(a.sockets.dial(c.address, CLOSED, 1, 4), { code: "ECONNREFUSED" });
  assert.equal(node.counts()["moved"], undefined);
});

test("with the flag no-rescue a connect is refused as its backend refuses it, and is moved once the flag is gone", async (t) => {
  const { node, a, b, c } = await makeNode(t);
  await addService(node, { c: [c, "dead"] }, { b: [b, "alive"] });
  const setFlags = (flags: number) => node.datapath.services.storeWord32(SERVICE, ServiceRow.offsets.flags, flags);
  setFlags(ServiceFlag.NoRescue);
  for (let i = 0; i < 20; i++) await assert.rejects(a.sockets.dial(VIP, 80, 1, 4), { code: "ECONNREFUSED" });
  const { moved, move_exhausted, move_failed } = node.counts();
  assert.deepEqual([moved, move_exhausted, move_failed], [undefined, undefined, undefined]);
  setFlags(0);
  assert.deepEqual(await a.sockets.dial(VIP, 80, 20, 4), { b: 20 });
  assert.equal(node.counts()["moved"], 20);
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

test("a connect to a silent backend is moved at the first repeat of its SYN, early once the node's round-trip time is known", async (t) => {
  const { near, a, b, c, d } = await makeNodes(t);
  await addService(near, { d: [d, "alive"] });
  const timeout = async () => {
    const began = process.hrtime.bigint();
    const socket = await a.sockets.open("tcp", 4);
    await a.sockets.connect(socket, VIP, 80);
    return Number(process.hrtime.bigint() - began) / 1e6;
  };
  silence(c);
  const dead = near.write.backend({ index: 8, address: c.address, port: CLOSED, node: nodeOf(c) });
  const port = await b.sockets.server("tcp", 4, b.address, "b");
  const alive = near.write.backend({ index: 9, address: b.address, port, node: nodeOf(b) });
  const toSilent = () => near.write.service(SERVICE, [{ ids: [dead] }, { ids: [alive] }]);
  toSilent();
  assert.ok((await timeout()) > 900, "nothing is known of the node");
  near.write.service(SERVICE, [{ ids: [backendId(1, 1)] }]);
  await waitFor(
    "the round-trip time of the node",
    async () => (await a.sockets.dial(VIP, 80, 5, 4)) !== undefined && near.rttUs(nodeOf(d)) > 0,
    { timeoutMs: 5000 },
  );
  toSilent();
  for (let i = 0; i < 5; i++) {
    const ms = await timeout();
    assert.ok(ms > 80 && ms < 800, `${ms} ms`);
  }
  assert.equal(near.counts()["moved"], 6);
  near.datapath.services.storeWord32(SERVICE, ServiceRow.offsets.rescueAfterMs, 400);
  const ms = await timeout();
  assert.ok(ms > 350 && ms < 900, `${ms} ms`);
  near.datapath.services.storeWord32(SERVICE, ServiceRow.offsets.flags, ServiceFlag.NoRescue);
  const socket = await a.sockets.open("tcp", 4);
  await assert.rejects(a.sockets.connect(socket, VIP, 80), { code: "TIMEOUT" });
  assert.equal(near.counts()["moved"], 7);
});

test("a connect whose backends are all silent ends about as late as one that is not moved", async (t) => {
  const { node, a, b, c, d } = await makeNode(t);
  for (const pod of [a, b]) pod.netns.sysctl("net.ipv4.tcp_syn_retries=1");
  for (const pod of [c, d]) silence(pod);
  const [first, second] = [c, d].map(({ address }, i) => node.write.backend({ index: i + 1, address, port: CLOSED }));
  await node.addService(SERVICE, VIP, 80, Proto.Tcp, [{ ids: [first ?? 0] }, { ids: [second ?? 0] }]);
  node.datapath.services.storeWord32(SERVICE, ServiceRow.offsets.rescueAfterMs, 100);
  /** Milliseconds until the kernel gives up: 3000 by this number of repeats. The limit of the socket object is 5000. */
  const giveUp = async (client: ServicePod, host: string, port: number) => {
    const began = performance.now();
    const socket = await client.sockets.open("tcp", 4);
    await assert.rejects(client.sockets.connect(socket, host, port), { code: "ETIMEDOUT" });
    return performance.now() - began;
  };
  // In the first one the programs learn how long the kernel's tick is.
  const [direct] = await Promise.all([giveUp(b, c.address, CLOSED), giveUp(a, VIP, 80)]);
  const before = node.counts()["moved"] ?? 0;
  const early = await giveUp(a, VIP, 80);
  assert.equal(node.counts()["moved"], before + 1, "to the other backend");
  t.diagnostic(`${direct.toFixed(0)} ms, and ${early.toFixed(0)} ms with an early first repeat`);
  assert.ok(Math.min(direct, early) > 2000, `${direct} and ${early} ms`);
});

/** A connect of pod a that was moved from silent pod c to silent pod d; and what they would answer. */
async function makeSilent(t: TestContext) {
  const { node, a, c, d } = await makeNode(t);
  await addService(node, { c: [c, "dead"] }, { d: [d, "dead"] });
  for (const pod of [c, d]) silence(pod);
  const socket = await a.sockets.open("tcp", 4);
  const port = await a.sockets.bind(socket, a.address);
  a.sockets.connect(socket, VIP, 80).catch(() => undefined);
  await waitFor("the move", () => node.counts()["moved"] === 1, { timeoutMs: 5000 });
  const [front] = (await node.natRows()).filter(({ flags }) => flags & NatFlag.Front);
  assert.ok(front);
  const answer = (from: ServicePod, targetPort: number) =>
    node.run(
      "from_pod",
      from.ifindex,
      makePacket({
        ...{ source: from.address, sourcePort: CLOSED, target: a.address, targetPort, sourceMac: from.mac },
        ...{ flags: TcpFlag.Syn | TcpFlag.Ack, seq: 77, ack: front.isn + 1 },
      }),
    );
  return { node, answerOfC: () => answer(c, port), answerOfD: () => answer(d, front.clientPort), port };
}

const portsOf = (packet: Uint8Array) => {
  const view = Buffer.from(packet).subarray(34);
  return { source: view.readUInt16BE(0), target: view.readUInt16BE(2), seq: view.readUInt32BE(4), flags: view[13] };
};

test("the first backend that answers has the connect: the one that it was moved to", async (t) => {
  const { node, answerOfC, answerOfD, port } = await makeSilent(t);
  const { action, packet } = await answerOfD();
  assert.deepEqual([action, portsOf(packet).target], [TcAction.Redirect, port], "it is translated");
  const late = await answerOfC();
  const { flags, seq } = portsOf(late.packet);
  assert.deepEqual([late.action, flags], [TcAction.Redirect, TcpFlag.Rst], "the other one is reset");
  const [{ isn } = { isn: 0 }] = await node.natRows();
  assert.equal(seq, isn + 1);
  assert.equal((await node.natRows()).length, 2);
});

test("the first backend that answers has the connect: the one that it was moved from", async (t) => {
  const { node, answerOfC, answerOfD, port } = await makeSilent(t);
  const { action, packet } = await answerOfC();
  assert.deepEqual([action, portsOf(packet).target, portsOf(packet).seq], [TcAction.Redirect, port, 77]);
  assert.deepEqual(await node.natRows(), []);
  const late = await answerOfD();
  assert.notEqual(portsOf(late.packet).target, port, "the pod has no socket of that port, and resets it");
});
