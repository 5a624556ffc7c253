/** What pods dialled is known of their flows (bpf/lib/packet_orig_dst.h), by real sockets. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { formatAddress } from "@isthmus/model";
import { EventKind, EventPoint, type PacketEvent, Proto } from "./gen/index.js";
import { readEvents } from "./testing/read-events.js";
import { makeServiceNode } from "./testing/service-node.js";

const VIP = "10.96.0.1";
const SERVICE = 7;

/** A node with the pods a and b, and a Service whose backend is a server of b. */
async function setUp(t: TestContext, kind: "tcp" | "udp") {
  const node = await makeServiceNode(t);
  const [a, b] = [await node.addPod("10.1.0.1"), await node.addPod("10.1.0.2")];
  const port = await b.sockets.server(kind, 4, b.address, "b");
  const proto = kind === "tcp" ? Proto.Tcp : Proto.Udp;
  const backend = node.write.backend({ index: 3, address: b.address, port, proto });
  await node.addService(SERVICE, VIP, 80, proto, [{ ids: [backend] }]);
  return { node, a, b, port, backend, target: `${b.address}:${port}` };
}

test("the flow of a connect to a Service has its VIP, backend and sequence number, and one to the pod has none", async (t) => {
  const { node, a, b, port, backend, target } = await setUp(t, "tcp");
  const socket = await a.sockets.open("tcp", 4);
  const from = await a.sockets.bind(socket, a.address);
  await a.sockets.connect(socket, VIP, 80);
  assert.deepEqual(await a.sockets.dial(b.address, port, 1, 4), { b: 1 });
  const [flow, ...more] = node.flowsToServices();
  assert.deepEqual(more, []);
  const { isn, ...known } = flow ?? { isn: 0 };
  assert.deepEqual(known, { ends: [`${a.address}:${from}`, target], vip: VIP, vipPort: 80, service: SERVICE, backend });
  assert.notEqual(isn, 0);
  assert.deepEqual(await a.sockets.peer(socket), [VIP, 80]);
});

test("it is known of a packet that GRO made anew, which has no socket", async (t) => {
  const { node, a, b, backend } = await setUp(t, "tcp");
  // Packets that the pod's device does not segment pass the node's side one by one, through GRO there.
  a.netns.offload("eth0", ["tso", "gso"], false);
  node.netns.offload("pod1", ["gro"], true);
  assert.deepEqual(await a.sockets.dial(VIP, 80, 5, 4), { b: 5 });
  assert.deepEqual(
    node.flowsToServices().map((flow) => [flow.vip, flow.backend, flow.ends[1].split(":")[0]]),
    Array(5).fill([VIP, backend, b.address]),
  );
});

for (const how of ["connected", "unconnected"] as const)
  test(`the flow of ${how} UDP to a Service has its VIP and backend`, async (t) => {
    const { node, a, backend, target } = await setUp(t, "udp");
    const socket = await a.sockets.open("udp", 4);
    const from = await a.sockets.bind(socket, a.address);
    if (how === "connected") {
      await a.sockets.connect(socket, VIP, 80);
      await a.sockets.send(socket, "x");
    } else await a.sockets.sendto(socket, VIP, 80, "x");
    assert.equal((await a.sockets.receive(socket)).data, "b:x");
    assert.deepEqual(node.flowsToServices(), [
      { ends: [`${a.address}:${from}`, target], vip: VIP, vipPort: 80, service: SERVICE, backend, isn: 0 },
    ]);
  });

test("a port that is used again, after an end that nobody saw, has what was dialled last", async (t) => {
  const { node, a, b, port } = await setUp(t, "tcp");
  const ask = async (host: string, to: number, from?: number) => {
    const socket = await a.sockets.open("tcp", 4);
    const bound = await a.sockets.bind(socket, a.address, from);
    await a.sockets.connect(socket, host, to);
    return { socket, from: bound };
  };
  const known = () => node.flowsToServices().map(({ ends, isn }) => ({ from: ends[0], isn }));
  /** The RST that ends the connection is lost. */
  const lose = async (socket: number) => {
    node.netns.ip("link", "set", "pod1", "down");
    await a.sockets.abort(socket);
    node.netns.ip("link", "set", "pod1", "up");
  };
  const first = await ask(VIP, 80);
  const [before, ...more] = known();
  assert.deepEqual([before?.from, more], [`${a.address}:${first.from}`, []]);
  await lose(first.socket);
  const second = await ask(VIP, 80, first.from);
  const [after] = known();
  assert.equal(after?.from, before?.from);
  assert.notEqual(after?.isn, before?.isn);
  await lose(second.socket);
  const third = await ask(b.address, port, first.from);
  assert.deepEqual(known(), [], "it dialled the pod");
  await lose(third.socket);
  await ask(VIP, 80, first.from);
  assert.equal(known().length, 1);
});

/** What an event says of the Service, with its kind and point. */
const origDstIn = ({ kind, point, vip, vipPort, service, backend }: PacketEvent) => ({
  ...{ kind, point, vip: formatAddress(vip), vipPort, service, backend },
});
const { FlowNew, FlowClosed } = EventKind;
/** An event that is not written would be awaited for ever. */
const LIMIT = { timeout: 60_000 };

test("the first packet of a connect to a Service and its close are events with VIP and backend", LIMIT, async (t) => {
  const { node, a, b, port, backend } = await setUp(t, "tcp");
  const events = node.datapath.packets?.events;
  assert.ok(events);
  events.want([FlowNew, FlowClosed]);
  await a.sockets.dial(VIP, 80, 1, 4);
  const [first, closed] = await readEvents(events, 2);
  assert.ok(first && closed);
  const known = { vip: VIP, vipPort: 80, service: SERVICE, backend };
  assert.deepEqual(origDstIn(first), { kind: FlowNew, point: EventPoint.FromPod, ...known });
  assert.deepEqual(origDstIn(closed), { kind: FlowClosed, point: EventPoint.FromPod, ...known });
  assert.deepEqual([first.targetPort, formatAddress(first.target)], [port, b.address]);
  await a.sockets.dial(b.address, port, 1, 4);
  const none = { vip: "::", vipPort: 0, service: 0, backend: 0 };
  assert.deepEqual((await readEvents(events, 2)).map(origDstIn), [
    { kind: FlowNew, point: EventPoint.FromPod, ...none },
    { kind: FlowClosed, point: EventPoint.FromPod, ...none },
  ]);
});

for (const how of ["connected", "unconnected"] as const)
  test(`the first packet of ${how} UDP to a Service is an event with VIP and backend`, LIMIT, async (t) => {
    const { node, a, b, port, backend } = await setUp(t, "udp");
    const events = node.datapath.packets?.events;
    assert.ok(events);
    events.want([FlowNew, FlowClosed]);
    const socket = await a.sockets.open("udp", 4);
    if (how === "connected") await a.sockets.connect(socket, VIP, 80);
    for (const data of ["x", "y"]) {
      await (how === "connected" ? a.sockets.send(socket, data) : a.sockets.sendto(socket, VIP, 80, data));
      assert.equal((await a.sockets.receive(socket)).data, `b:${data}`);
    }
    const direct = await a.sockets.open("udp", 4);
    await a.sockets.sendto(direct, b.address, port, "z");
    const [first, other] = await readEvents(events, 2);
    assert.ok(first && other);
    const known = { vip: VIP, vipPort: 80, service: SERVICE, backend };
    assert.deepEqual(origDstIn(first), { kind: FlowNew, point: EventPoint.FromPod, ...known });
    assert.equal(other.service, 0, "the flow of the second socket, which dialled the pod");
  });
