/** What moves a connect, what does not, and what is told of it (bpf/lib/rescue.h), by real sockets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Address, formatAddress } from "@isthmus/model";
import { waitFor } from "@isthmus/runtime";
import { backendId } from "./backend-id.js";
import { EventFlag, EventKind, MoveReason, MoveReasonHelp, NatFlag, ServiceFlag, ServiceRow } from "./gen/index.js";
import { makePacket, TcpFlag } from "./testing/packets.js";
import { readEvents } from "./testing/read-events.js";
import { addService, CLOSED, makeNode, makeNodes, SERVICE, silence, VIP } from "./testing/rescue-nodes.js";
import type { ServicePod } from "./testing/service-node.js";
import { TcAction } from "./testing/skb-run.js";

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
  // A limit of its own remains for routes: five errors at once, and then one a second. On Linux 6.1 the two spend the same tokens, of
  // which icmp_ratelimit=0 leaves none.
  far.netns.sysctl("net.ipv4.icmp_ratemask=0");
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

test("refusals with bytes behind their end, as short frames have on a wire, move a connect once however many come", async (t) => {
  const { node, a, b, c } = await makeNode(t);
  await addService(node, { c: [c, "dead"] }, { b: [b, "alive"] });
  silence(c);
  const socket = await a.sockets.open("tcp", 4);
  const connected = a.sockets.connect(socket, VIP, 80);
  await waitFor("the SYN", () => node.flowsToServices().length === 1, { timeoutMs: 5000 });
  const [{ ends: [source] = [""], isn } = { isn: 0 }] = node.flowsToServices();
  const refusal = makePacket({
    ...{ source: c.address, target: a.address, sourceMac: c.mac, flags: TcpFlag.Rst | TcpFlag.Ack, ack: isn + 1 },
    ...{ sourcePort: CLOSED, targetPort: Number(source.split(":")[1]) },
  });
  const padded = Buffer.concat([refusal, Buffer.alloc(6, 0xff)]);
  const { packet } = await node.run("from_pod", c.ifindex, padded);
  const syn = Buffer.from(packet);
  assert.equal(syn.length, 14 + syn.readUInt16BE(14 + 2), "the SYN ends with its IP packet");
  for (let i = 0; i < 3; i++)
    assert.equal((await node.run("from_pod", c.ifindex, padded)).action, TcAction.Drop, "of a backend that was left");
  assert.equal(node.counts()["moved"], 1);
  await connected;
  assert.equal((await a.sockets.receive(socket)).data, "b");
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
