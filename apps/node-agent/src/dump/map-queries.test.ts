/** What each map is shown as, of rows that the codecs wrote; and queries that have no answer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  BackendFlag,
  BackendRow,
  backendId,
  EndpointRow,
  FloorRow,
  FrontendFlag,
  FrontendKey,
  FrontendRow,
  IpcacheFlag,
  IpcacheKey,
  IpcachePrefixKey,
  IpcacheRow,
  makeFloor,
  NodeFlag,
  NodeRow,
  PeerVerdict,
  PodPolicyWord,
  PodRangeKey,
  PodRangeRow,
  PolicyPeerKey,
  PolicyPeerRow,
  PolicyPortKey,
  PolicyPortRow,
  PolicySetRow,
  PolicyStateRow,
  Rank,
  rankBit,
  ServiceFlag,
  ServiceRow,
  TableLine,
  TierWord,
} from "@isthmus/bpf";
import { bytesKey, FLOW_MAP, MAX_MAP_ROWS, NODE_MAPS, parseAddress, parsePrefix } from "@isthmus/model";
import type { ArrayPort, HashPort } from "@isthmus/reconcile";
import { createMemoryKernel } from "@isthmus/testing";
import { createPodNames } from "../events/pod-names.js";
import { createMapQueries, type MapQueriesModules } from "./map-queries.js";
import { isPacketMap } from "./node-maps.js";
import { readRows } from "./testing/read-rows.js";

const NO_FLOWS = { read: () => new Uint8Array(), readBodies: () => new Uint8Array(), maxEntries: 0, seed: 0n };
const NO_ADDRESS = new Uint8Array(16);
const frontend = (address: string, port: number, proto: number) =>
  FrontendKey.encode({ addr: parseAddress(address), port, proto, scope: 0 });

/** Reads alone. */
const arrayOf = (size: number, bytes: Uint8Array) =>
  ({
    entrySize: size,
    maxEntries: bytes.length / size,
    read: (index: number, count = 1) => bytes.slice(index * size, (index + count) * size),
  }) as ArrayPort;
const hashOf = (...entries: readonly (readonly [Uint8Array, Uint8Array])[]) =>
  ({
    *parts() {
      yield entries;
    },
  }) as unknown as HashPort;

async function setUp(packets?: MapQueriesModules["port"]["packets"]) {
  const port = createMemoryKernel().open();
  const pods = createPodNames();
  pods.set(11, { namespace: "shop", name: "cart", addresses: [parseAddress("10.1.0.1")] });
  const maps = createMapQueries({
    ...{ port: { ...port, packets }, pods, services: { byFrontend: () => undefined } },
    monotonicNs: () => 0n,
  });
  return { port, maps, rows: async (map: string) => (await readRows(maps, { map })).rows };
}

test("a service has a row for each tier; one without tiers is shown if a frontend leads to it", async () => {
  const { port, rows } = await setUp();
  const tier = [
    TierWord.toWord({ line: 70_000, slots: 3, tries: 2, maglev: 0, cluster: 1 }),
    TierWord.toWord({ line: 8, slots: 1021, tries: 3, maglev: 1, cluster: 0 }),
  ];
  const row = { tier: [], flags: 0, affinityS: 0, rescueAfterMs: 0 };
  port.services.writeBody(2, ServiceRow.encode({ ...row, tier, gen: 5, rescueAfterMs: 250 }));
  port.services.writeBody(3, ServiceRow.encode({ ...row, gen: 1 }));
  port.services.writeBody(4, ServiceRow.encode({ ...row, gen: 9 }));
  port.services.writeBody(5, ServiceRow.encode({ ...row, tier: tier.slice(1), flags: ServiceFlag.NoRescue, gen: 2 }));
  const value = FrontendRow.encode({ service: 4, flags: 0, check: 1 });
  await port.frontends.insert(new Map([[bytesKey(frontend("10.96.0.1", 80, 6)), value]]));
  const service = { service: "2", generation: "5", rescue: "250ms" };
  const none = { tier: "", cluster: "", slots: "0", line: "", tries: "", table: "none" };
  const mixed = { cluster: "mixed", slots: "1021", line: "8", tries: "3", table: "maglev" };
  assert.deepEqual(await rows("services"), [
    { ...service, tier: "0", cluster: "1", slots: "3", line: "70000", tries: "2", table: "slots" },
    { ...service, ...mixed, tier: "1" },
    { ...none, service: "4", generation: "9", rescue: "auto" },
    { ...mixed, service: "5", generation: "2", tier: "0", rescue: "off" },
  ]);
});

test("frontends, with the rows for ports that a Service does not have", async () => {
  const { port, rows } = await setUp();
  const reject = FrontendRow.encode({ service: 0, flags: FrontendFlag.Reject | 32, check: 1 });
  const entries = new Map([
    [bytesKey(frontend("10.96.0.1", 80, 6)), FrontendRow.encode({ service: 4, flags: 0, check: 1 })],
    [bytesKey(frontend("10.96.0.1", 0, 0)), reject],
  ]);
  await port.frontends.insert(entries);
  assert.deepEqual(await rows("frontends"), [
    { address: "10.96.0.1", port: "80", protocol: "TCP", scope: "all", service: "4", flags: "" },
    { address: "10.96.0.1", port: "0", protocol: "any", scope: "all", service: "0", flags: "reject,bit-5" },
  ]);
});

test("backends and the tables that name them; free rows are left out", async () => {
  const { port, rows } = await setUp();
  const row = {
    port: 8080,
    proto: 17,
    state: Rank.Draining,
    node: 3,
    cluster: 2,
    zone: 0,
    addr: parseAddress("10.2.0.9"),
  };
  port.backends.writeBody(700, BackendRow.encode({ ...row, id: backendId(9, 700), flags: BackendFlag.Terminating }));
  port.backends.writeBody(701, BackendRow.encode({ ...row, id: 0, flags: 0 }));
  await port.tables.addSegment();
  const second = await port.tables.addSegment();
  second.writeBody(1, TableLine.encode({ id: [backendId(9, 700), 0, backendId(1, 5)] }));
  assert.deepEqual(await rows("backends"), [
    {
      ...{ index: "700", generation: "9", address: "10.2.0.9", port: "8080", protocol: "UDP", state: "draining" },
      ...{ cluster: "2", node: "3", flags: "terminating" },
    },
  ]);
  const backends = ["700#9", "-", "5#1", ...Array(13).fill("-")].join(",");
  assert.deepEqual(await rows("tables"), [{ line: "257", backends }]);
});

test("nodes, states that are not up, and ranges of ClusterIPs", async () => {
  const { port, rows } = await setUp();
  const row = { id: 1, cluster: 1, zone: 0, key: 0, health: NO_ADDRESS, flags: NodeFlag.Local, rttUs: 0 };
  port.nodes.writeBody(1, NodeRow.encode({ ...row, tunnel: parseAddress("192.0.2.1") }));
  port.nodeState.storeWord32(1, 0, rankBit(Rank.Suspect, 0) | rankBit(Rank.Suspect, 2) | rankBit(Rank.Draining, 1));
  port.clusterState.storeWord32(7, 0, rankBit(Rank.Down, 3));
  await port.serviceRanges.replace([parsePrefix("10.96.0.0/12"), parsePrefix("fd00:96::/112")]);
  assert.deepEqual(await rows("nodes"), [
    { index: "1", cluster: "1", tunnel: "192.0.2.1", health: "", flags: "local" },
  ]);
  assert.deepEqual(await rows("node-state"), [
    { node: "1", state: "suspect", draining: "1", suspect: "0,2", down: "" },
  ]);
  assert.deepEqual(await rows("cluster-state"), [
    { cluster: "7", state: "down", draining: "", suspect: "", down: "3" },
  ]);
  assert.deepEqual(await rows("service-ranges"), [{ range: "10.96.0.0/12" }, { range: "fd00:96::/112" }]);
});

test("floors, whole and half written", async () => {
  const { port, rows } = await setUp();
  const store = new Uint8Array(16).fill(0xab);
  const floor = makeFloor(store, [2n ** 63n, 0n, 7n]);
  port.floors.writeBody(1, FloorRow.encode({ valid: 1, copy: [floor] }));
  port.floors.writeBody(2, FloorRow.encode({ valid: 2, copy: [floor, { ...floor, checksum: 1n }] }));
  port.floors.writeBody(3, FloorRow.encode({ valid: 1, copy: [] }));
  const known = { store: "ab".repeat(16), positions: "9223372036854775808,0,7" };
  assert.deepEqual(await rows("floors"), [
    { cluster: "1", copy: "1", check: "ok", ...known },
    { cluster: "2", copy: "2", check: "the other copy is whole", ...known },
    { cluster: "3", copy: "1", check: "no copy is whole", store: "", positions: "" },
  ]);
});

test("pods of the node and ranges of pods, in mode packets", async () => {
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 0x0a);
  const empty = EndpointRow.decode(new Uint8Array(EndpointRow.size));
  const row = {
    ...empty,
    id: 1,
    ifindex: 11,
    mac,
    hostMac: mac,
    netnsId: 1,
    addr: parseAddress("10.1.0.1"),
    moved: 9,
    movesEnded: 7,
    identity: 1048832,
    policy: PodPolicyWord.toWord({ set: 3, audit: 1, revision: 9 }),
  };
  const addr = parseAddress("10.1.0.1");
  const { rows } = await setUp({
    endpoints: arrayOf(
      EndpointRow.size,
      Buffer.concat([EndpointRow.encode(empty), EndpointRow.encode(row), EndpointRow.encode(empty)]),
    ),
    endpointIndex: hashOf([addr, Uint8Array.of(1, 0, 0, 0)]),
    podRanges: hashOf([
      PodRangeKey.encode({ length: 112, addr: parseAddress("10.2.0.0") }),
      PodRangeRow.encode({ cluster: 2, flags: 0 }),
    ]),
    ...{ flows: NO_FLOWS, policy: createMemoryKernel().open().policy },
  });
  assert.deepEqual(await rows("endpoints"), [
    {
      ...{ index: "1", address: "10.1.0.1", pod: "shop/cart", ifindex: "11", "netns-id": "0" },
      ...{ mac: "02:00:00:00:00:0a", "host-mac": "02:00:00:00:00:0a", "moved-connects": "2" },
      ...{ identity: "1048832", "policy-set": "3", "policy-mode": "audit", revision: "9" },
    },
  ]);
  assert.deepEqual(await rows("endpoint-index"), [{ address: "10.1.0.1", endpoint: "1" }]);
  assert.deepEqual(await rows("pod-ranges"), [{ range: "10.2.0.0/16", cluster: "2" }]);
});

test("identities of addresses, and what policy sets say of identities, in mode packets", async () => {
  const port = createMemoryKernel().open();
  const { policy } = port;
  const exact = IpcacheKey.encode({ addr: parseAddress("10.1.0.1"), space: 0 });
  const range = IpcachePrefixKey.encode({ length: 32 + 112, space: 0, addr: parseAddress("10.2.0.0") });
  const [cart, unmanaged] = [1048832, (2 << 20) | 3];
  const row = { node: 0, flags: 0, check: 0 };
  await policy.addresses.insert(new Map([[bytesKey(exact), IpcacheRow.encode({ ...row, identity: cart })]]));
  const flags = IpcacheFlag.Exact;
  await policy.prefixes.insert(new Map([[bytesKey(range), IpcacheRow.encode({ ...row, identity: unmanaged, flags })]]));
  const allowed = PeerVerdict.toWord({ number: 5, allow: 1, allPorts: 1 });
  const denied = PeerVerdict.toWord({ number: 0, allow: 0, allPorts: 1 });
  const byPort = PeerVerdict.toWord({ number: 7, allow: 0, allPorts: 0 });
  policy.sets.writeBody(0, PolicyStateRow.encode({ revision: 9, pending: 1 }));
  policy.sets.writeBody(3, PolicySetRow.encode({ in: denied, out: allowed }));
  const peer = PolicyPeerKey.encode({ set: 3, identity: cart });
  const said = PolicyPeerRow.encode({ set: 3, identity: cart, in: byPort, out: allowed });
  await policy.peers.insert(new Map([[bytesKey(peer), said]]));
  const verdict = { class: 7, rule: 5, allow: 1, flags: 0, proxy: 0 };
  const ports = [
    { length: 32, class: 7, proto: 0, port: 0 },
    { length: 48, class: 7, proto: 17, port: 0 },
    { length: 60, class: 7, proto: 6, port: 8080 },
    { length: 64, class: 7, proto: 6, port: 80 },
  ].map((key) => [bytesKey(PolicyPortKey.encode(key)), PolicyPortRow.encode(verdict)] as const);
  await policy.ports.insert(new Map(ports));
  const none = { podRanges: hashOf(), flows: NO_FLOWS };
  const { rows } = await setUp({ endpoints: port.endpoints, endpointIndex: port.endpointIndex, ...none, policy });
  assert.deepEqual(await rows("ipcache"), [{ address: "10.1.0.1", identity: "1048832" }]);
  assert.deepEqual(await rows("ipcache-prefixes"), [{ prefix: "10.2.0.0/16", identity: "2097155", flags: "exact" }]);
  assert.deepEqual(await rows("policy-sets"), [{ set: "3", ingress: "deny by 0", egress: "allow by 5" }]);
  assert.deepEqual(await rows("policy-peers"), [
    { set: "3", identity: "1048832", ingress: "class 7", egress: "allow by 5" },
  ]);
  const by = { class: "7", verdict: "allow", rule: "5" };
  assert.deepEqual(await rows("policy-ports"), [
    { ...by, protocol: "any", ports: "any" },
    { ...by, protocol: "UDP", ports: "any" },
    { ...by, protocol: "TCP", ports: "8080-8095" },
    { ...by, protocol: "TCP", ports: "80" },
  ]);
});

test("every map that the command names has rows, and those of packets say that there are none in mode sockets", async () => {
  const { maps, rows } = await setUp();
  const packets = [...NODE_MAPS.filter(isPacketMap), FLOW_MAP];
  for (const map of NODE_MAPS) if (!packets.includes(map)) assert.deepEqual(await rows(map), [], map);
  for (const map of packets) await assert.rejects(readRows(maps, { map }), /runs with --datapath-mode sockets/);
});

test("an unknown map and a query out of bounds have no answer", async () => {
  const { maps } = await setUp();
  await assert.rejects(readRows(maps, { map: "maps" }), /does not know this map.*services, frontends.*conntrack/);
  for (const limit of [0, MAX_MAP_ROWS + 1])
    await assert.rejects(readRows(maps, { map: "nodes", limit }), /shows 1 to 100000 rows/);
  await assert.rejects(readRows(maps, { map: "nodes", sources: [Buffer.alloc(4)] }), /addresses of 16 bytes/);
});
