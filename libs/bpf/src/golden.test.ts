import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseAddress, prefixMask } from "@isthmus/model";
import {
  BackendFlag,
  BackendId,
  BackendRow,
  backendId,
  DatapathConfig,
  DropReason,
  EndpointKey,
  EndpointRow,
  EventFlag,
  EventKind,
  EventLimit,
  EventLimitKey,
  EventLimitRow,
  EventPoint,
  EventSettingsRow,
  FloorCopy,
  FloorRow,
  FloorRowV1,
  FlowBody,
  FlowFlag,
  FlowKey,
  FlowRow,
  FlowSent,
  FlowWord,
  FragmentFlag,
  FragmentKey,
  FragmentRow,
  FrontendFlag,
  FrontendKey,
  FrontendRow,
  FrontendScope,
  hash64,
  IpcacheFlag,
  IpcacheKey,
  IpcachePrefixKey,
  IpcacheRow,
  keyCheck,
  MoveReason,
  NatFlag,
  NatRow,
  NatStateRow,
  NodeFlag,
  NodeRow,
  PacketEvent,
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
  Proto,
  Rank,
  ROW_CHECK,
  ServiceFlag,
  ServiceMovesKey,
  ServiceMovesRow,
  ServiceRangeRow,
  ServiceRow,
  SockRow,
  StateWord,
  TableLine,
  TcpOrigDstRow,
  TierWord,
  UdpReverseKey,
  UdpReverseRow,
  UdpStickyKey,
  UdpStickyRow,
  Verdict,
  rowCheck as wordsCheck,
} from "./index.js";

const BPF = fileURLToPath(new URL("../../../bpf", import.meta.url));

const VIP = parseAddress("10.96.0.1");
const POD = parseAddress("10.1.2.3");
const KEY = FrontendKey.encode({ addr: VIP, port: 80, proto: Proto.Tcp, scope: FrontendScope.Local });
const FLOOR = {
  store: Uint8Array.from({ length: 16 }, (_, i) => i),
  position: Array.from({ length: 16 }, (_, i) => BigInt(i + 1)),
  checksum: 0x0123456789abcdefn,
};
const FLOOR_V1 = { ...FLOOR, position: FLOOR.position.slice(0, 8) };
const FLOW = {
  a: parseAddress("10.1.0.1"),
  b: parseAddress("10.1.0.2"),
  pa: 40_000,
  pb: 80,
  proto: 6,
  space: 0x0102,
};
const NO_FLOOR = { store: new Uint8Array(16), position: [], checksum: 0n };

const RECENT = TcpOrigDstRow.encode({
  cookie: 0x1122334455667788n,
  origDst: { vip: VIP, addr: POD, vipPort: 80, port: 8080, backend: backendId(1, 1), service: 2 },
  check: 0x0123456789abcdefn,
});

/** The check of a row, as bytes. */
function rowCheck(row: Uint8Array): Uint8Array {
  const hash = hash64(ROW_CHECK);
  wordsCheck(hash, new DataView(row.buffer, row.byteOffset, row.byteLength), 0, row.length / 8);
  return new Uint8Array(Uint32Array.of(hash.low, hash.high).buffer);
}

/** The values of golden_test.c, built with the codecs. */
const VALUES: Readonly<Record<string, Uint8Array>> = {
  frontend_key: KEY,
  service_range_row: ServiceRangeRow.encode({ addr: parseAddress("10.96.0.0"), mask: prefixMask(116) }),
  frontend_row: FrontendRow.encode({ service: 0x11223344, flags: FrontendFlag.Reject, check: 0xcafe }),
  frontend_check: Uint8Array.of(keyCheck(KEY) & 0xff, keyCheck(KEY) >> 8),
  tier_word: TierWord.encode({ line: 0x7654321, slots: 0x1389a, tries: 5, maglev: 1, cluster: 0x267 }),
  service_row: ServiceRow.encode({
    tier: [0x0102030405060708n, 0x1112131415161718n, 0x2122232425262728n, 0x3132333435363738n],
    flags: ServiceFlag.Affinity | ServiceFlag.NoRescue,
    affinityS: 10544,
    gen: 7,
    rescueAfterMs: 250,
  }),
  backend_id: BackendId.encode({ index: 0x123456, generation: 255 }),
  table_line: TableLine.encode({ id: Array.from({ length: 16 }, (_, i) => backendId(1, i + 1)) }),
  backend_row: BackendRow.encode({
    id: backendId(255, 0x123456),
    port: 8080,
    proto: Proto.Udp,
    state: Rank.Suspect,
    node: 0x11223344,
    cluster: 4094,
    zone: 5,
    flags: BackendFlag.Terminating,
    addr: parseAddress("2001:db8::1"),
  }),
  state_word: StateWord.encode({ draining: 1, suspect: 2, down: 4 }),
  node_row: NodeRow.encode({
    id: 9,
    cluster: 258,
    zone: 3,
    key: 4,
    tunnel: parseAddress("192.168.0.1"),
    health: parseAddress("192.168.0.2"),
    flags: NodeFlag.Local,
    rttUs: 0x01020304,
  }),
  floor_copy: FloorCopy.encode(FLOOR),
  floor_row: FloorRow.encode({ valid: 2, copy: [NO_FLOOR, FLOOR] }),
  floor_row_v1: FloorRowV1.encode({ valid: 2, copy: [NO_FLOOR, FLOOR_V1] }),
  sock_row: SockRow.encode({ vip: VIP, addr: POD, vipPort: 80, port: 8080, backend: backendId(1, 1), service: 2 }),
  tcp_orig_dst_row: RECENT,
  row_check: rowCheck(RECENT.subarray(0, TcpOrigDstRow.offsets.check)),
  udp_sticky_key: UdpStickyKey.encode({ cookie: 0x1122334455667788n, vip: VIP, port: 53 }),
  udp_sticky_row: UdpStickyRow.encode({ backend: backendId(1, 1), fraction: 0x12345, tier: 2, check: 0x1abc }),
  udp_reverse_key: UdpReverseKey.encode({ cookie: 0x1122334455667788n, addr: POD, port: 53 }),
  udp_reverse_row: UdpReverseRow.encode({ vip: VIP, port: 53, check: 0x0123456789abcdefn }),
  endpoint_key: EndpointKey.encode({ addr: parseAddress("10.1.0.1") }),
  endpoint_row: EndpointRow.encode({
    id: 3,
    ifindex: 0x01020304,
    mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
    hostMac: Uint8Array.of(2, 0, 0, 0, 0, 2),
    netnsId: 5,
    identity: 0x00100100,
    flags: 6,
    policy: 0x1122334455667788n,
    addr: parseAddress("10.1.0.1"),
    moved: 0x01020304,
    movesEnded: 0x01020300,
  }),
  pod_policy_word: PodPolicyWord.encode({ set: 0x01020304, audit: 1, revision: 0x11121314 }),
  ipcache_key: IpcacheKey.encode({ addr: parseAddress("10.1.0.1"), space: 0x0102 }),
  ipcache_prefix_key: IpcachePrefixKey.encode({ length: 32 + 112, space: 0x0102, addr: parseAddress("10.1.0.0") }),
  ipcache_row: IpcacheRow.encode({ identity: 0x00100101, node: 9, flags: IpcacheFlag.Exact, check: 0xabcd }),
  peer_verdict: PeerVerdict.encode({ number: 0x01020304, allow: 1, allPorts: 0 }),
  policy_set_row: PolicySetRow.encode({ in: 0x01020304, out: 0x11121314 }),
  policy_state_row: PolicyStateRow.encode({ revision: 0x01020304, pending: 1 }),
  policy_peer_key: PolicyPeerKey.encode({ set: 5, identity: 0x00100101 }),
  policy_peer_row: PolicyPeerRow.encode({ set: 5, identity: 0x00100101, in: 0x01020304, out: 0x11121314 }),
  policy_port_key: PolicyPortKey.encode({ length: 60, class: 7, proto: Proto.Tcp, port: 8080 }),
  policy_port_row: PolicyPortRow.encode({ class: 7, rule: 0x01020304, allow: 1, flags: 2, proxy: 15_001 }),
  pod_range_key: PodRangeKey.encode({ length: 112, addr: parseAddress("10.1.0.0") }),
  pod_range_row: PodRangeRow.encode({ cluster: 258, flags: 7 }),
  flow_key: FlowKey.encode(FLOW),
  flow_word: FlowWord.encode({ rev: 0x01020304, check: 0xabcd, flags: FlowFlag.Initiator | FlowFlag.ViaStack }),
  flow_row: FlowRow.encode({
    word: [0x0102030405060708n, 0x1112131415161718n],
    key: FLOW,
    gen: 0x01020304,
    seen: 0x0506,
    sent: Uint8Array.of(FlowSent.Syn, FlowSent.Fin | FlowSent.Data),
  }),
  flow_body: FlowBody.encode({
    ...{ vip: parseAddress("10.96.0.1"), vipPort: 80, proxyPort: 0, service: 2, backend: 0x01000003, isn: 0x11223344 },
    ...{ identity: [0, 0], spare: [0n, 0n], check: 0x0102030405060708n },
  }),
  nat_row: NatRow.encode({
    ...{
      peer: parseAddress("10.1.0.2"),
      peerPort: 8080,
      clientPort: 61_000,
      moves: 2,
      tier: 1,
      silent: 2,
      isn: 0x11223344,
    },
    ...{ flags: NatFlag.Front | NatFlag.ClientIsB, backend: 0x01000003, before: [0x01000002, 0x01000001] },
    check: 0x0102030405060708n,
  }),
  nat_state_row: NatStateRow.encode({ used: 1 }),
  service_moves_key: ServiceMovesKey.encode({ service: 0x01020304, gen: 7 }),
  service_moves_row: ServiceMovesRow.encode({ count: [0n, 1n, 2n, 3n, 4n, 5n, 6n] }),
  fragment_key: FragmentKey.encode({
    source: parseAddress("10.1.0.1"),
    target: parseAddress("10.1.0.2"),
    id: 0x1234,
    proto: Proto.Udp,
    space: 0x0102,
  }),
  fragment_row: FragmentRow.encode({ check: 0x11223344, seen: 0x0506, flags: FragmentFlag.FirstSeen }),
  datapath_config: DatapathConfig.encode({
    clusterId: 7,
    flags: 0,
    netnsCookie: 0x1122334455667788n,
    flowSeed: 0x99aabbccddeeff00n,
    flowSets: 0x1234n,
  }),
  event_settings_row: EventSettingsRow.encode({
    kinds: (1 << EventKind.FlowNew) | (1 << EventKind.FlowPickedUp) | (1 << EventKind.Drop),
  }),
  event_limit_key: EventLimitKey.encode({ ifindex: 0x01020304, kind: EventKind.Drop, reason: DropReason.Malformed }),
  event_limit_row: EventLimitRow.encode({ due: 0x1122334455667788n, limited: 7 }),
  packet_event: PacketEvent.encode({
    time: 0x1122334455667788n,
    version: EventLimit.Version,
    kind: EventKind.Drop,
    point: EventPoint.ToPod,
    verdict: Verdict.Deliver,
    reason: DropReason.Malformed,
    proto: 6,
    tcp: 0x12,
    flags: EventFlag.Reply,
    source: parseAddress("10.1.0.1"),
    target: parseAddress("10.1.0.2"),
    sourcePort: 40_000,
    targetPort: 80,
    icmpType: 8,
    icmpCode: 3,
    length: 1500,
    ifindex: 0x01020304,
    limited: 7,
    sourceIdentity: 8,
    targetIdentity: 9,
    vip: parseAddress("10.96.0.10"),
    vipPort: 443,
    wirePort: 61_000,
    service: 10,
    backend: 11,
    rule: 12,
    isn: 0x11223344,
    moveReason: MoveReason.Silent,
  }),
};

const CODECS = {
  FlowBody,
  NatRow,
  NatStateRow,
  BackendId,
  BackendRow,
  DatapathConfig,
  EndpointKey,
  EndpointRow,
  FlowKey,
  FlowRow,
  FlowWord,
  FragmentKey,
  FragmentRow,
  FloorCopy,
  FloorRow,
  FloorRowV1,
  FrontendKey,
  FrontendRow,
  NodeRow,
  PodRangeKey,
  PodRangeRow,
  TcpOrigDstRow,
  ServiceRangeRow,
  ServiceRow,
  SockRow,
  StateWord,
  TableLine,
  TierWord,
  UdpReverseKey,
  UdpReverseRow,
  UdpStickyKey,
  UdpStickyRow,
};

function readGolden(): Map<string, string> {
  const vectors = new Map<string, string>();
  let name = "";
  for (const line of readFileSync(`${BPF}/tests/golden.txt`, "utf8").split("\n")) {
    const text = line.replace(/#.*/, "").replaceAll(/\s/g, "");
    if (text.includes("_")) name = text;
    else if (text !== "") vectors.set(name, (vectors.get(name) ?? "") + text);
  }
  return vectors;
}

test("codecs write the golden bytes", () => {
  const hex = Object.entries(VALUES).map(([name, bytes]) => [name, Buffer.from(bytes).toString("hex")]);
  assert.deepEqual(Object.fromEntries(hex), Object.fromEntries(readGolden()));
});

test("codecs read back what they wrote", () => {
  for (const [name, codec] of Object.entries(CODECS)) {
    const snake = name.replaceAll(/(?<!^)([A-Z])/g, "_$1").toLowerCase();
    const bytes = VALUES[snake];
    assert.ok(bytes, snake);
    const again = (codec.encode as (value: unknown) => Uint8Array)(codec.decode(bytes));
    assert.deepEqual(Buffer.from(again), Buffer.from(bytes), name);
  }
});

test("a value that does not fit its bit field is rejected, not truncated", () => {
  assert.throws(() => TierWord.toWord({ line: 0, slots: 0, tries: 8, maglev: 0, cluster: 0 }), RangeError);
  assert.throws(() => BackendId.toWord({ index: 2 ** 24, generation: 1 }), RangeError);
  assert.throws(() => BackendRow.portWord.toWord({ port: 65_536, proto: 6, state: 0 }), RangeError);
  assert.throws(() => FrontendKey.encode({ addr: new Uint8Array(4), port: 1, proto: 6, scope: 0 }), RangeError);
  assert.throws(() => TableLine.encode({ id: Array(17).fill(0) }), RangeError);
});

test("the words of a row equal its bytes", () => {
  const bytes = VALUES["backend_row"] ?? new Uint8Array();
  const row = BackendRow.decode(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const { portWord, clusterWord, offsets } = BackendRow;
  assert.equal(portWord.toWord(row), view.getUint32(offsets.port, true));
  assert.equal(clusterWord.toWord(row), view.getUint32(offsets.cluster, true));
  const { port, proto, state, cluster, zone, flags } = row;
  assert.deepEqual(portWord.fromWord(portWord.toWord(row)), { port, proto, state });
  assert.deepEqual(clusterWord.fromWord(clusterWord.toWord(row)), { cluster, zone, flags });
  assert.equal(portWord.toWord(row) & ~portWord.masks.state, portWord.toWord({ port, proto, state: 0 }));
});

test("the fields of a 64-bit word do not touch each other, whatever their values", () => {
  let seed = 7;
  const random = (bits: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return [0, 2 ** bits - 1, Math.floor((seed / 2 ** 32) * 2 ** bits)][seed % 3] ?? 0;
  };
  for (let i = 0; i < 20_000; i++) {
    const [line, slots, tries, maglev, cluster] = [random(28), random(17), random(3), random(1), random(12)];
    const word = TierWord.toWord({ line, slots, tries, maglev, cluster });
    const parts = [line, slots * 2 ** 28, tries * 2 ** 45, maglev * 2 ** 48, cluster * 2 ** 49];
    assert.equal(
      word,
      parts.reduce((sum, part) => sum + BigInt(part), 0n),
    );
    assert.deepEqual(TierWord.fromWord(word), { line, slots, tries, maglev, cluster });
  }
});

test("C has the same layout for the same values; the C tests pass", () => {
  assert.equal(
    execFileSync("make", ["-s", "-C", BPF, "check"], { encoding: "utf8" }),
    "ok golden vectors\nok slot fractions\n",
  );
});
