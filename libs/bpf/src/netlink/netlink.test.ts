import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { parseAddress, parsePrefix } from "@isthmus/model";
import { loadTestObject } from "../testing/objects.js";
import { makePacket } from "../testing/packets.js";
import { runOnSkb, TcAction } from "../testing/skb-run.js";
import { startSockets } from "../testing/sockets.js";
import { setAddress } from "./addresses.js";
import { createVeth, deleteLink, setLinkUp } from "./links.js";
import type { NetlinkRequest } from "./messages.js";
import { setNeighbour } from "./neighbours.js";
import { createNetlink, type Netlink, openNetlink, runAll } from "./netlink.js";
import { readIpv4Addresses, readIpv4Neighbours, readLink, readLinks, readRoutes } from "./queries.js";
import { deleteRoute, type NewRoute, setRoute } from "./routes.js";

let counter = 0;

interface Namespace {
  readonly path: string;
  readonly netlink: Netlink;
  ip(...args: readonly string[]): string;
}

async function namespace(t: TestContext): Promise<Namespace> {
  const name = `mnl${process.pid}-${counter++}`;
  execFileSync("ip", ["netns", "add", name]);
  t.after(() => execFileSync("ip", ["netns", "del", name]));
  const path = `/run/netns/${name}`;
  const netlink = await openNetlink(path);
  t.after(() => netlink.close());
  const ip = (...args: readonly string[]) => execFileSync("ip", ["-n", name, ...args]).toString();
  return { path, netlink, ip };
}

const route = (cidr: string, rest: Partial<NewRoute> = {}): NewRoute => ({
  prefix: parsePrefix(cidr),
  kind: "unicast",
  gateway: undefined,
  link: undefined,
  protocol: 77,
  metric: 0,
  ...rest,
});
const [MAC, PEER_MAC] = ["02:00:00:00:00:01", "02:00:00:00:00:02"];

/** A veth between two namespaces, up on both sides, with 10.1.0.1/24 here; resolves with its indexes. */
async function pair(here: Namespace, there: Namespace): Promise<{ readonly here: number; readonly there: number }> {
  const netns = openSync(there.path, "r");
  const ends = [
    { name: "one", mac: MAC, mtu: 1400 },
    { name: "two", mac: PEER_MAC, mtu: 1400 },
  ] as const;
  try {
    await runAll(here.netlink, [createVeth(...ends, netns), setLinkUp("one")]);
  } finally {
    closeSync(netns);
  }
  await runAll(there.netlink, [setLinkUp("two")]);
  const index = async ({ netlink }: Namespace, name: string) => (await readLink(netlink, name))?.index ?? 0;
  const indexes = { here: await index(here, "one"), there: await index(there, "two") };
  await runAll(here.netlink, [
    setAddress({ link: indexes.here, prefix: { address: parseAddress("10.1.0.1"), length: 120 } }),
  ]);
  return indexes;
}

test("devices, addresses, neighbours and routes are made in two namespaces, and read back", async (t) => {
  const [here, there] = [await namespace(t), await namespace(t)];
  const index = await pair(here, there);
  const [mac, gateway] = ["02:00:00:00:00:09", parseAddress("10.1.0.9")];
  await runAll(here.netlink, [
    setNeighbour({ link: index.here, address: gateway, mac }),
    setRoute(route("10.2.0.0/16", { gateway })),
    setRoute(route("10.3.0.5/32", { link: index.here, protocol: 78 })),
    setRoute(route("10.4.0.0/16", { kind: "unreachable", metric: 1_000_000 })),
    setRoute(route("fd00:1::/64", { kind: "unreachable", metric: 1_000_000 })),
    setRoute(route("0.0.0.0/0", { gateway: parseAddress("169.254.1.1"), link: index.here, protocol: 3, onLink: true })),
  ]);
  assert.match(here.ip("-d", "link", "show", "one"), /UP.* mtu 1400 .*02:00:00:00:00:01.* veth/s);
  assert.match(here.ip("addr", "show", "one"), /inet 10\.1\.0\.1\/24 scope global one/);
  assert.match(here.ip("neigh"), /10\.1\.0\.9 dev one lladdr 02:00:00:00:00:09 PERMANENT/);
  assert.deepEqual(
    here
      .ip("route")
      .split("\n")
      .filter((line) => !line.includes("proto kernel"))
      .map((line) => line.trim()),
    [
      "default via 169.254.1.1 dev one onlink",
      "10.2.0.0/16 via 10.1.0.9 dev one proto 77",
      "10.3.0.5 dev one proto 78 scope link",
      "unreachable 10.4.0.0/16 proto 77 metric 1000000",
      "",
    ],
  );
  assert.match(here.ip("-6", "route"), /unreachable fd00:1::\/64 dev lo proto 77 metric 1000000/);

  const links = await readLinks(here.netlink, "veth");
  assert.deepEqual(links, [
    { index: index.here, name: "one", up: true, mac: MAC, mtu: 1400, kind: "veth", peer: index.there, peerNetnsId: 0 },
  ]);
  assert.deepEqual(await readIpv4Addresses(here.netlink, index.here), [
    { link: index.here, prefix: { address: parseAddress("10.1.0.1"), length: 120 } },
  ]);
  assert.deepEqual(
    (await readIpv4Neighbours(here.netlink, index.here)).filter(({ permanent }) => permanent),
    [{ link: index.here, address: gateway, mac, permanent: true }],
  );
  assert.deepEqual(await readRoutes(here.netlink, { family: "IPv4", protocol: 77 }), [
    route("10.2.0.0/16", { gateway, link: index.here }),
    route("10.4.0.0/16", { kind: "unreachable", metric: 1_000_000 }),
  ]);
  const onLink = await readRoutes(here.netlink, { family: "IPv4", protocol: 78, link: index.here });
  assert.deepEqual(onLink, [route("10.3.0.5/32", { link: index.here, protocol: 78 })]);

  await runAll(here.netlink, [
    deleteRoute(route("10.2.0.0/16")),
    deleteRoute(route("10.4.0.0/16", { kind: "unreachable" })),
    deleteLink("one"),
  ]);
  assert.equal(here.ip("route"), "");
  assert.doesNotMatch(there.ip("link"), /two/);
});

test("the number of the other end's namespace leads a program to that namespace's sockets, and another does not", async (t) => {
  const [here, first, second] = [await namespace(t), await namespace(t), await namespace(t)];
  const program = loadTestObject(t, "device_test").program("find_listener");
  const ports = new Map<string, number>();
  const ids = new Map<string, number>();
  for (const [name, there] of Object.entries({ first, second })) {
    const netns = openSync(there.path, "r");
    await runAll(here.netlink, [
      createVeth({ name, mac: MAC, mtu: 1500 }, { name: "eth0", mac: PEER_MAC, mtu: 1500 }, netns),
    ]);
    closeSync(netns);
    there.ip("link", "set", "lo", "up");
    const sockets = startSockets(undefined, there.path);
    t.after(() => sockets.end());
    ports.set(name, await sockets.server("tcp", 4, "127.0.0.1", name));
    ids.set(name, (await readLink(here.netlink, name))?.peerNetnsId ?? -1);
  }
  here.ip("link", "add", "near", "type", "veth", "peer", "name", "near1");
  assert.equal((await readLink(here.netlink, "near"))?.peerNetnsId, undefined);
  here.ip("link", "set", "lo", "up");

  async function listens(id: number, port: number): Promise<boolean> {
    const packet = makePacket({ source: "127.0.0.1", target: "127.0.0.1", targetPort: port });
    const { action } = await runOnSkb(program, { packet, context: { cb: [id] }, netns: here.path });
    assert.ok(action === TcAction.Ok || action === TcAction.Drop, `${action}`);
    return action === TcAction.Ok;
  }
  const found: (readonly [string, string])[] = [];
  for (const [name, port] of ports)
    for (const [other, id] of ids) if (await listens(id, port)) found.push([name, other]);
  assert.deepEqual(found, [
    ["first", "first"],
    ["second", "second"],
  ]);
});

test("every request of a batch is executed; an error has the action, the object, the errno and the kernel's text", async (t) => {
  const { netlink, ip } = await namespace(t);
  const gateway = parseAddress("10.1.0.9");
  const results = await netlink.run([
    setRoute(route("10.2.0.0/16", { gateway })),
    setRoute(route("10.4.0.0/16", { kind: "unreachable" })),
    deleteRoute(route("10.5.0.0/16")),
    deleteLink("none"),
  ]);
  assert.deepEqual(
    results.map(({ error }) => [error?.data.errno, error?.message]),
    [
      ["ENETUNREACH", "Cannot set route 10.2.0.0/16 via 10.1.0.9: Nexthop has invalid gateway (ENETUNREACH)"],
      [undefined, undefined],
      ["ESRCH", "Cannot delete route 10.5.0.0/16: no such process (ESRCH)"],
      ["ENODEV", 'Cannot delete device "none": no such device (ENODEV)'],
    ],
  );
  assert.match(ip("route"), /^unreachable 10\.4\.0\.0\/16/);
});

test("thousands of requests are executed in batches, and a table of thousands of routes is read in parts", async (t) => {
  const { netlink } = await namespace(t);
  const cidrs = Array.from({ length: 5000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`);
  const results = await netlink.run(cidrs.map((cidr) => setRoute(route(cidr, { kind: "unreachable" }))));
  assert.equal(results.filter(({ error }) => error !== undefined).length, 0);
  const found = await readRoutes(netlink, { family: "IPv4", protocol: 77 });
  assert.deepEqual(
    found,
    cidrs.map((cidr) => route(cidr, { kind: "unreachable" })),
  );
});

test("a namespace that never had a route has none, and a device that does not exist is none", async (t) => {
  const { netlink } = await namespace(t);
  for (const family of ["IPv4", "IPv6"] as const)
    assert.deepEqual(await readRoutes(netlink, { family, protocol: 77 }), []);
  assert.equal(await readLink(netlink, "none"), undefined);
});

test("a path that is no network namespace is refused, and later sockets are in the namespace of the process", async () => {
  for (const path of ["/run/netns/none", "/proc/self/ns/uts"]) {
    await assert.rejects(openNetlink(path), { code: "NETLINK", message: /^Cannot open network namespace "\// });
  }
  const names = execFileSync("ip", ["-o", "link"]).toString().trim().split("\n").length;
  // One for each of libuv's worker threads.
  for (const netlink of await Promise.all(Array.from({ length: 8 }, () => openNetlink()))) {
    assert.equal((await readLinks(netlink)).length, names);
    netlink.close();
  }
});

const REQUEST: NetlinkRequest = { action: "list", object: "things", type: 18, flags: 0, body: new Uint8Array() };
const INTERRUPTED = 0x10;

/** A message of the kernel to the request with this sequence number. */
function message(type: number, flags: number, sequence: number, body: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(16 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, sequence, true);
  bytes.set(body, 16);
  return bytes;
}

/** A socket that answers each exchange with the next bytes; `sent`: the requests that were not empty. */
function script(...answers: readonly Uint8Array[]) {
  const [left, sent] = [[...answers], [] as Uint8Array[]];
  const netlink = createNetlink({
    async exchange(request) {
      if (request.length > 0) sent.push(request);
      return left.shift() ?? new Uint8Array();
    },
    close: () => undefined,
  });
  return { netlink, sent };
}

test("a dump during which something changed is repeated, whichever of its messages says so", async () => {
  const done = [0, 0, 0, 0];
  const { netlink, sent } = script(
    message(16, INTERRUPTED, 1, [1]),
    message(3, 0, 1, done),
    message(16, 0, 2, [2]),
    message(3, INTERRUPTED, 2, done),
    message(16, 0, 3, [3]),
    message(3, 0, 3, done),
  );
  assert.deepEqual(await netlink.dump(REQUEST, ({ body }) => body[0]), [3]);
  assert.equal(sent.length, 3);
});

test("a dump that is interrupted again and again is an error, not an endless loop", async () => {
  const answers = Array.from({ length: 20 }, (_, i) => message(3, INTERRUPTED, i + 1, [0, 0, 0, 0]));
  await assert.rejects(
    script(...answers).netlink.dump(REQUEST, () => undefined),
    {
      message: "Cannot list things: it changed during each of 10 reads (EINTR)",
    },
  );
});

test("a dump that ends with an error rejects, and answers to earlier requests are ignored", async () => {
  const { netlink } = script(
    message(16, 0, 99, [9]),
    message(3, 0, 1, [...Buffer.from(Int32Array.of(-2).buffer)]),
    message(2, 0, 1, [0, 0, 0, 0]),
    message(16, 0, 2, [7]),
    message(3, 0, 2, [0, 0, 0, 0]),
  );
  await assert.rejects(
    netlink.dump(REQUEST, () => undefined),
    { code: "NETLINK", message: /ENOENT/ },
  );
  assert.deepEqual(await netlink.dump(REQUEST, ({ body }) => body[0]), [7]);
});

test("an answer with a length that does not fit fails every request of the batch", async () => {
  const bad = message(16, 0, 1, [1]).fill(255, 0, 4);
  const results = await script(bad).netlink.run([REQUEST, REQUEST]);
  assert.deepEqual(
    results.map(({ error }) => error?.data.errno),
    ["EPROTO", "EPROTO"],
  );
});
