/** Mode `packets` on a node with pods, by real traffic. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  clientOf,
  EndpointRow,
  MAP_NAMES,
  NatStateRow,
  type PacketPath,
  PodPolicyWord,
  readNatRow,
} from "@isthmus/bpf";
import { makeNatRows } from "@isthmus/bpf/testing";
import { type Address, addressFromBytes, bytesKey, formatAddress, keyBytes, systemClock } from "@isthmus/model";
import { EventFilter, type FlowEvent, FlowEventKind, Node } from "@isthmus/proto";
import { waitFor } from "@isthmus/runtime";
import { makeNode } from "@isthmus/testing";
import { nodeName } from "../desired/nodes/nodes.js";
import { startEventFeed } from "../events/event-feed.js";
import { makePacketNode, type PacketNode } from "./testing/packet-node.js";

const [A, B] = ["10.1.0.1", "10.1.0.2"];

const hasFilters = ({ netns }: PacketNode) => /clsact/.test(netns.tc("qdisc", "show"));

/** Waits until so many programs have links, and none has a filter. */
async function waitForLinks(node: PacketNode, count: number): Promise<void> {
  const isDone = () => node.attached().length === count && !hasFilters(node);
  await waitFor(`${count} links`, isDone, { timeoutMs: 10_000, reason: () => node.attached().join() });
}

test("pods that are attached reach each other past the stack; one that is detached has no row", async (t) => {
  const node = makePacketNode(t);
  const datapath = await node.start("packets");
  const [a, b] = [node.makePod("c1", A), node.makePod("c2", B)];
  const { devices } = node.packets();
  await node.adopt([]);
  await node.attach([a.attachment, b.attachment]);
  const port = await b.sockets.server("tcp", 4, B, "b");
  assert.deepEqual(await a.sockets.dial(B, port, 20, 4), { b: 20 });
  const counts = datapath.metrics();
  assert.ok((counts.get("deliver") ?? 0) >= 100, `${counts.get("deliver")} packets`);
  assert.deepEqual([counts.get("to_stack"), counts.get("spoofed_source")], [0, 0]);
  await waitForLinks(node, 4);
  const fill = node.packets().fill();
  assert.deepEqual(
    fill.map(({ map }) => map),
    [MAP_NAMES.endpoints, MAP_NAMES.podRanges, MAP_NAMES.conntrack, MAP_NAMES.nat],
  );
  assert.deepEqual(fill.at(-1), { map: MAP_NAMES.nat, used: 0, capacity: 65_536 });
  node.netns.ip("link", "del", b.attachment.hostDevice);
  devices.detach(b.attachment);
  const rows = async () => [...((await datapath.packets?.endpointIndex.load()) ?? new Map()).keys()];
  await waitFor("the row of b to go", async () => (await rows()).length === 1, { timeoutMs: 10_000 });
  assert.deepEqual(await rows(), [bytesKey(a.attachment.addresses[0])]);
  await waitFor("the pins of b to go", () => node.attached().length === 2, { timeoutMs: 10_000 });
  assert.deepEqual(
    [a, b].map(({ attachment }) => node.names.byAddress(attachment.addresses[0])?.name),
    ["c1", undefined],
  );
});

test("packets are judged when an ADD is done, and none is lost or judged twice when links take the place of filters", async (t) => {
  const node = makePacketNode(t);
  const datapath = await node.start("packets");
  const [a, b] = [node.makePod("c1", A), node.makePod("c2", B)];
  a.netns.ip("addr", "add", "10.1.0.77/32", "dev", "eth0");
  const forger = await a.sockets.open("udp", 4);
  await a.sockets.bind(forger, "10.1.0.77");
  const port = await b.sockets.server("udp", 4, B, "b");
  const echo = await a.sockets.open("udp", 4);
  await a.sockets.connect(echo, B, port);
  await node.adopt([]);
  await node.attach([a.attachment, b.attachment]);
  // Links come a second later: all else that takes time is done before or after.
  await a.sockets.sendto(forger, B, 53, "x");
  assert.deepEqual([node.attached(), hasFilters(node)], [[], true]);
  const dropped = () => datapath.metrics().get("spoofed_source") === 1;
  let rounds = 0;
  const echoUntil = async (isDone: () => boolean) => {
    for (; !isDone(); rounds++) {
      await a.sockets.send(echo, `${rounds}`);
      assert.equal((await a.sockets.receive(echo)).data, `b:${rounds}`);
    }
  };
  await echoUntil(() => node.attached().length === 4);
  await echoUntil(() => !hasFilters(node));
  await waitFor("the drop", dropped, { timeoutMs: 10_000 });
  assert.ok(rounds > 50, `${rounds} rounds`);
  assert.equal(datapath.metrics().get("deliver"), 2 * rounds);
});

test("an agent that ends between filters and links leaves what runs, and the next one makes the links", async (t) => {
  const node = makePacketNode(t);
  const [a, b] = [node.makePod("c1", A), node.makePod("c2", B)];
  const port = await b.sockets.server("udp", 4, B, "b");
  const echo = await a.sockets.open("udp", 4);
  await a.sockets.connect(echo, B, port);
  async function works(): Promise<void> {
    const before = node.datapath().metrics().get("deliver") ?? 0;
    await a.sockets.send(echo, "x");
    assert.equal((await a.sockets.receive(echo)).data, "b:x");
    assert.equal(node.datapath().metrics().get("deliver"), before + 2);
  }
  // Before the first link, after it, and after all.
  for (const links of [0, 1, 4]) {
    await node.start("packets");
    await node.adopt([a.attachment, b.attachment]);
    await works();
    await waitFor(`${links} links`, () => node.attached().length >= links, { timeoutMs: 10_000, everyMs: 1 });
  }
  await waitForLinks(node, 4);
  await works();
});

for (const [what, links] of [
  ["filters", 0],
  ["some links", 1],
] as const)
  test(`mode sockets after an agent that had made ${what} leaves neither filters nor links`, async (t) => {
    const node = makePacketNode(t);
    await node.start("packets");
    const pods = [node.makePod("c1", A), node.makePod("c2", B)].map(({ attachment }) => attachment);
    await node.packets().devices.adopt(pods);
    await waitFor(`${links} links`, () => node.attached().length >= links, { timeoutMs: 10_000, everyMs: 1 });
    assert.equal(hasFilters(node), true);
    await node.start("sockets");
    assert.deepEqual([node.attached(), hasFilters(node)], [[], false]);
  });

test("a change to mode sockets that is refused leaves the policies of pods in force; one that is not opens them", async (t) => {
  const node = makePacketNode(t);
  const datapath = await node.start("packets");
  const [a, b] = [node.makePod("c1", A), node.makePod("c2", B)];
  const pods = [a.attachment, b.attachment];
  await node.adopt(pods);
  await waitForLinks(node, 4);
  const port = await b.sockets.server("udp", 4, B, "b");
  const echo = await a.sockets.open("udp", 4);
  await a.sockets.connect(echo, B, port);
  const { endpointIndex, endpoints } = node.path();
  const row = (await endpointIndex.load()).get(bytesKey(b.attachment.addresses[0]));
  assert.ok(row);
  // Its set says nothing, so it denies everything.
  const word = PodPolicyWord.toWord({ set: 1, audit: 0, revision: 1 });
  endpoints.storeWord64(row[0] ?? 0, EndpointRow.offsets.policy, word);
  const denied = () => datapath.metrics().get("ingress_denied") ?? 0;
  const send = () => a.sockets.send(echo, "x");
  await send();
  await waitFor("a packet to be denied", () => denied() === 1, { timeoutMs: 10_000 });

  const asked: (readonly string[])[] = [];
  const refusal = new Error("refused");
  const refuse = (addresses: readonly Address[]) => {
    asked.push(addresses.map(formatAddress));
    throw refusal;
  };
  await assert.rejects(node.start("sockets", { confirmUnenforced: refuse }), refusal);
  assert.equal(node.attached().length, 4);
  await send();
  const again = await node.start("packets", { confirmUnenforced: refuse });
  await node.adopt(pods);
  assert.equal(again.metrics().get("ingress_denied"), 2);
  assert.deepEqual(asked, [[B]]);

  await node.start("sockets", { confirmUnenforced: (addresses) => void asked.push(addresses.map(formatAddress)) });
  assert.deepEqual([node.attached(), asked.length], [[], 2]);
  await send();
  assert.equal((await a.sockets.receive(echo)).data, "b:x");
  await node.start("sockets", { confirmUnenforced: refuse });
  assert.equal(asked.length, 2);
});

test("flows of pods and what a pod forges are events with the pods' names, while somebody asks for them", async (t) => {
  // Before the node's maps are closed.
  const stop = new AbortController();
  t.after(() => stop.abort());
  const node = makePacketNode(t);
  const datapath = await node.start("packets");
  const [a, b] = [node.makePod("c1", A), node.makePod("c2", B)];
  await node.attach([a.attachment, b.attachment]);
  await node.adopt([a.attachment, b.attachment]);
  assert.ok(datapath.packets);
  const feed = startEventFeed({
    ...{ events: datapath.packets.events, pods: node.names, services: { byFrontend: () => undefined } },
    backends: { byId: () => undefined },
    policies: { identityAt: () => 0, identity: () => undefined, rules: () => [], isolating: () => [] },
    ...{ clock: systemClock, signal: stop.signal },
    monotonicMicros: () => Number(process.hrtime.bigint() / 1000n),
  });
  const port = await b.sockets.server("tcp", 4, B, "b");
  assert.deepEqual(await a.sockets.dial(B, port, 5, 4), { b: 5 });
  const subscription = feed.subscribe(EventFilter.fromPartial({ fromNamespace: "shop", fromPod: "c1" }));
  const began = systemClock.wallMicros();
  assert.deepEqual(await a.sockets.dial(B, port, 5, 4), { b: 5 });
  const seen: FlowEvent[] = [];
  const { FLOW_EVENT_KIND_NEW: NEW, FLOW_EVENT_KIND_CLOSED: CLOSED } = FlowEventKind;
  const portsOf = (is: FlowEventKind) => seen.flatMap(({ kind, source }) => (kind === is ? (source?.port ?? 0) : []));
  await waitFor(
    "the open and the close of five connections",
    () => {
      seen.push(...(subscription.take()?.events ?? []));
      // One that was opened before may close now.
      const closed = portsOf(CLOSED);
      return portsOf(NEW).length === 5 && portsOf(NEW).every((each) => closed.includes(each));
    },
    { timeoutMs: 10_000 },
  );
  const closed = portsOf(CLOSED);
  assert.equal(new Set(closed).size, closed.length, "each closes once");
  for (const { source, destination, timeUs } of seen) {
    assert.deepEqual([source?.pod, destination?.pod, destination?.port], ["c1", "c2", port]);
    assert.ok(Math.abs(Number(timeUs) - began) < 60e6, "the time is the wall clock's");
  }
  subscription.close();
  const drops = feed.subscribe(EventFilter.fromPartial({ dropsOnly: true }));
  b.netns.ip("addr", "add", "10.1.0.77/32", "dev", "eth0");
  const forger = await b.sockets.open("udp", 4);
  await b.sockets.bind(forger, "10.1.0.77");
  await b.sockets.connect(forger, A, 53);
  await b.sockets.send(forger, "x");
  let drop: FlowEvent | undefined;
  await waitFor(
    "the drop",
    () => {
      drop ??= drops.take()?.events[0];
      return drop !== undefined;
    },
    { timeoutMs: 10_000 },
  );
  assert.deepEqual([drop?.dropReason, drop?.source?.pod], ["spoofed_source", "c2"]);
});

test("a connection lives through both changes of the mode and a restart of the agent", async (t) => {
  const node = makePacketNode(t);
  await node.start("sockets");
  const [a, b] = [node.makePod("c1", A), node.makePod("c2", B)];
  const pods = [a.attachment, b.attachment];
  const port = await b.sockets.server("udp", 4, B, "b");
  const echo = await a.sockets.open("udp", 4);
  await a.sockets.connect(echo, B, port);
  const stream = await b.sockets.open("tcp", 4);
  const listening = await a.sockets.server("tcp", 4, A, "first");
  await b.sockets.connect(stream, A, listening);

  async function works(what: string): Promise<void> {
    await a.sockets.send(echo, what);
    assert.equal((await a.sockets.receive(echo)).data, `b:${what}`);
    assert.deepEqual(await b.sockets.dial(A, listening, 5, 4), { first: 5 });
  }

  await works("sockets");
  for (const what of ["packets", "packets again"]) {
    const datapath = await node.start("packets");
    await node.adopt(pods);
    const before = datapath.metrics().get("deliver") ?? 0;
    await works(what);
    assert.ok((datapath.metrics().get("deliver") ?? 0) > before + 20, what);
    assert.equal((await datapath.packets?.endpointIndex.load())?.size, 2);
  }
  const datapath = await node.start("sockets");
  assert.equal(datapath.packets, undefined);
  await works("sockets again");
  assert.equal((await b.sockets.receive(stream)).data, "first", "the connection from before is whole");
});

test("pods that went while no agent ran have no row after its start", async (t) => {
  const node = makePacketNode(t);
  await node.start("packets");
  const [a, b] = [node.makePod("c1", A), node.makePod("c2", B)];
  await node.packets().devices.adopt([a.attachment, b.attachment]);
  const again = await node.start("packets");
  await node.packets().devices.adopt([a.attachment]);
  assert.deepEqual(
    [...((await again.packets?.endpointIndex.load()) ?? new Map()).keys()],
    [bytesKey(a.attachment.addresses[0])],
  );
});

/** Inserts the rows of two connects of each of these addresses that were moved. */
async function moveConnects({ nat, natState }: PacketPath, ...clients: readonly string[]): Promise<void> {
  for (const client of clients) {
    for (const port of [1, 2]) {
      const ends = { client, clientPort: port, first: "10.2.0.8", backend: "10.2.0.9", port: 80 };
      const { front, wire } = makeNatRows({ ...ends, wirePort: 61_000 + port, isn: port });
      for (const error of (await nat.insert(new Map([front, wire]))).failed.values()) throw error;
    }
  }
  natState.storeWord32(0, NatStateRow.offsets.used, 1);
}

/** How many rows of moved connects there are, by client. */
async function movedRows({ nat }: PacketPath): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (const [key, value] of await nat.load()) {
    const client = clientOf(key, readNatRow(keyBytes(key), value) ?? assert.fail());
    const address = formatAddress(addressFromBytes(keyBytes(client)));
    counts[address] = (counts[address] ?? 0) + 1;
  }
  return counts;
}

test("a pod that is gone keeps no rows of moved connects, and a new one with its address begins without any", async (t) => {
  const node = makePacketNode(t);
  await node.start("packets");
  const path = node.path();
  const [a, b] = [node.makePod("c1", A), node.makePod("c2", B)];
  const { devices } = node.packets();
  await node.adopt([]);
  await node.attach([a.attachment, b.attachment]);
  await moveConnects(path, A, B);
  devices.detach(b.attachment);
  await waitFor("the rows of b to go", async () => !(B in (await movedRows(path))), { timeoutMs: 10_000 });
  assert.deepEqual(await movedRows(path), { [A]: 4 });

  const next = node.makePod("c3", "10.1.0.3");
  devices.detach(a.attachment);
  await node.attach([{ ...next.attachment, addresses: a.attachment.addresses }]);
  assert.deepEqual(await movedRows(path), {}, "when its address is attached again");
});

test("nor does one that went while no agent ran", async (t) => {
  const node = makePacketNode(t);
  await node.start("packets");
  const [a, b] = [node.makePod("c1", A), node.makePod("c2", B)];
  await node.packets().devices.adopt([a.attachment, b.attachment]);
  await moveConnects(node.path(), A, B, "10.1.0.77");
  await node.start("packets");
  await node.packets().devices.adopt([a.attachment]);
  const path = node.path();
  await waitFor("their rows to go", async () => Object.keys(await movedRows(path)).length === 1, { timeoutMs: 10_000 });
  assert.deepEqual(await movedRows(path), { [A]: 4 });
});

test("a row keeps its count of moved connects when the agent is started again", async (t) => {
  const node = makePacketNode(t);
  await node.start("packets");
  const a = node.makePod("c1", A);
  await node.adopt([a.attachment]);
  node.path().endpoints.storeWord32(1, EndpointRow.offsets.moved, 5);
  await node.start("packets");
  await node.adopt([a.attachment]);
  const { id, moved, movesEnded } = EndpointRow.decode(node.path().endpoints.read(1));
  assert.deepEqual([id, moved, movesEnded], [1, 5, 5]);
});

test("a row has the number of its pod's network namespace, and one of an older agent gets it in its place", async (t) => {
  const node = makePacketNode(t);
  const datapath = await node.start("packets");
  const pods = [node.makePod("c1", A), node.makePod("c2", B)];
  const attachments = pods.map(({ attachment }) => attachment);
  await node.packets().devices.adopt(attachments);
  const indexOf = async (address: Uint8Array): Promise<number> => {
    const value = (await node.path().endpointIndex.load()).get(bytesKey(address));
    return value === undefined ? 0 : new DataView(value.buffer, value.byteOffset).getUint32(0, true);
  };
  const rowOf = async (address: Uint8Array) => EndpointRow.decode(node.path().endpoints.read(await indexOf(address)));
  async function assertNumbers(): Promise<void> {
    for (const { attachment, netns } of pods) {
      const { netnsId } = await rowOf(attachment.addresses[0]);
      const named = new RegExp(`^nsid ${netnsId - 1} \\(iproute2 netns name: ${netns.name}\\)`, "m");
      assert.match(node.netns.ip("netns", "list-id"), named);
    }
  }
  await assertNumbers();

  const [first] = attachments;
  assert.ok(first !== undefined);
  const index = await indexOf(first.addresses[0]);
  datapath.packets?.endpoints.storeWord32(index, EndpointRow.offsets.netnsId, 0);
  await node.start("packets");
  await node.packets().devices.adopt(attachments);
  await assertNumbers();
  assert.equal(await indexOf(first.addresses[0]), index);
});

test("a device with an address gets the programs of uplinks, and loses them with it", async (t) => {
  const node = makePacketNode(t);
  const datapath = await node.start("packets");
  node.netns.ip("link", "add", "up0", "type", "veth", "peer", "name", "up1");
  for (const end of ["up0", "up1"]) node.netns.ip("link", "set", end, "up");
  node.netns.ip("addr", "add", "192.168.9.1/24", "dev", "up0");
  await node.packets().devices.adopt([]);
  const attached = () => node.attached();
  assert.deepEqual(attached(), [`from_network@${node.netns.index("up0")}`, `to_network@${node.netns.index("up0")}`]);
  node.netns.ip("addr", "del", "192.168.9.1/24", "dev", "up0");
  node.changed([{ kind: "lost" }]);
  await waitFor("no programs", () => attached().length === 0, { timeoutMs: 10_000 });
  assert.ok(datapath.programs.has("from_network"));
});

test("a device that refuses programs keeps none from the others, and an adopted pod keeps those that it has", async (t) => {
  const node = makePacketNode(t);
  await node.start("packets");
  const [a, b] = [node.makePod("c1", A), node.makePod("c2", B)];
  const pods = [a.attachment, b.attachment];
  for (const name of ["up0", "up1"]) {
    node.netns.ip("link", "add", name, "type", "veth", "peer", "name", `${name}p`);
    for (const end of [name, `${name}p`]) node.netns.ip("link", "set", end, "up");
    node.netns.ip("addr", "add", `192.168.${name === "up0" ? 8 : 9}.1/24`, "dev", name);
  }
  node.refusing.add(node.netns.index("up0"));
  await node.packets().devices.adopt(pods);
  const programsOn = (device: string) => node.attached().filter((pin) => pin.endsWith(`@${node.netns.index(device)}`));
  await waitForLinks(node, 6);
  assert.deepEqual(
    ["up0", "up1", a.attachment.hostDevice].map((device) => programsOn(device).length),
    [0, 2, 2],
  );
  await node.start("packets");
  node.refusing.clear();
  node.refusing.add(node.netns.index(a.attachment.hostDevice));
  await node.packets().devices.adopt(pods);
  assert.equal(programsOn(a.attachment.hostDevice).length, 2, "those of the agent before it");
  node.refusing.clear();
  node.netns.ip("link", "del", "up0");
  await waitFor("the next pass", () => node.attached().length === 6, { timeoutMs: 10_000 });
});

test("pod ranges follow the nodes of all clusters, and those of an earlier agent that no node has go", async (t) => {
  const node = makePacketNode(t);
  node.nodes.clear();
  const datapath = await node.start("packets");
  const set = (name: string, cidr: string) =>
    node.nodes.set(nodeName(2, name), Node.decode(makeNode(name, "172.18.0.2", cidr).value));
  const count = async () => (await datapath.packets?.podRanges.load())?.size;
  set("w1", "10.2.1.0/24");
  set("w2", "10.2.2.0/24");
  set("w3", "0.0.0.0/0");
  node.packets().update(node.nodes.keys());
  assert.equal(await count(), 0, "nothing is of the mesh before the devices have programs");
  await node.packets().devices.adopt([]);
  await waitFor("two ranges", async () => (await count()) === 2, { timeoutMs: 10_000 });
  // The range goes from one node to another, and never away.
  set("w2", "10.2.1.0/24");
  node.packets().update([nodeName(2, "w2")]);
  node.nodes.delete(nodeName(2, "w1"));
  node.packets().update([nodeName(2, "w1")]);
  await waitFor("one range", async () => (await count()) === 1, { timeoutMs: 10_000 });
  node.nodes.clear();
  const again = await node.start("packets");
  await node.packets().devices.adopt([]);
  await waitFor("no range", async () => (await again.packets?.podRanges.load())?.size === 0, { timeoutMs: 10_000 });
});
