/**
 * A node whose programs run on packets, without traffic: a pod that connects to a Service, and the Service's backends. A packet
 * goes where the programs and the node's stack send it, through the programs of each device on its way.
 */
import type { TestContext } from "node:test";
import { bytesKey, formatAddress, keyBytes, parseAddress } from "@isthmus/model";
import { hash64, ROW_CHECK, rowCheck } from "../check.js";
import { viewOf } from "../codec.js";
import { EndpointRow, FlowKey, MAP_NAMES, NatFlag, NatRow, Proto, TcpOrigDstRow } from "../gen/index.js";
import { createHashMap } from "../hash-map.js";
import { type Fd, native } from "../native.js";
import { readServiceMoves } from "../service-moves.js";
import { makeNetns } from "./netns.js";
import { ICMP, makePacket, type PacketFields, quote, readPacket, readSegment, type Segment } from "./packets.js";
import { loadPodPrograms, type PodProgram } from "./pod-programs.js";
import { TcAction } from "./skb-run.js";
import { createWriter, frontend, insertFrontends, type Writer } from "./writer.js";

export interface TestBackendPod {
  readonly address: string;
  readonly tier: number;
  readonly cluster: number;
  /** `PORT` unless given. */
  readonly port?: number;
  /** No pod has its address, and the node has no way to it. */
  readonly isGone?: boolean;
}

/** What arrived at the pod of this address; undefined: it arrived nowhere. */
export type Arrival = { readonly address: string; readonly segment: Segment } | undefined;

/** A row of mesh_nat. Tuples are as `10.1.0.1:1024 10.1.0.2:80`, the client first. */
export interface NatTuples {
  readonly key: string;
  /** The other tuple of its flow. */
  readonly other: string;
  readonly row: NatRow;
}

export const CLIENT = "10.1.0.1";
export const PORT = 80;
const ROUTER = "192.0.2.1";
export const VIP = "10.96.0.1";
export const SERVICE = 7;
/** All pods are behind one device. */
const IFINDEX = 1;
/** In mesh_endpoints: the client is the first pod. */
const CLIENT_ROW = 1;
/** More devices than a packet begins at when its connect is moved as often as it may be. */
const MOST_DEVICES = 10;

export type ServiceRuns = Awaited<ReturnType<typeof makeServiceRuns>>;

/** MAC of a pod, or of the node's side of its veth. */
function macOf(address: string, side: "pod" | "host"): string {
  const host = Number(address.split(".")[3]).toString(16).padStart(2, "0");
  return `02:00:00:00:${host}:${side === "pod" ? "01" : "02"}`;
}

export async function makeServiceRuns(
  t: TestContext,
  backends: readonly TestBackendPod[],
  entries: Readonly<Record<string, number>> = {},
) {
  const netns = makeNetns(t);
  netns.ip("link", "set", "lo", "up");
  netns.sysctl("net.ipv4.ip_forward=1");
  netns.ip("route", "add", "unreachable", "10.1.0.0/16");
  const programs = loadPodPrograms(t, { object: "dialling_test", flows: 256, entries });
  programs.addRange("10.1.0.0/16", 1);
  const write = createWriter({
    services: programs.loaded.array(MAP_NAMES.services),
    backends: programs.loaded.array(MAP_NAMES.backends),
    tables: await programs.loaded.tables(),
  });
  const ids = writeService(write, backends);
  const frontends = createHashMap(MAP_NAMES.frontends, programs.map(MAP_NAMES.frontends));
  await insertFrontends(frontends, [frontend(VIP, PORT, Proto.Tcp, SERVICE)]);
  const pods = new Set([CLIENT, ...backends.filter(({ isGone }) => !isGone).map(({ address }) => address)]);
  for (const address of pods)
    programs.addPod({ address, ifindex: IFINDEX, mac: macOf(address, "pod"), hostMac: macOf(address, "host") });
  const podOfMac = new Map([...pods].map((address) => [macOf(address, "pod"), address]));
  const endpoints = programs.loaded.array(MAP_NAMES.endpoints);
  const nat = createHashMap(MAP_NAMES.nat, programs.map(MAP_NAMES.nat));
  const moves = createHashMap(MAP_NAMES.serviceMoves, programs.map(MAP_NAMES.serviceMoves));
  let cookie = 0;

  /** Where a packet ends that this program gets. */
  async function travel(first: PodProgram, packet: Uint8Array): Promise<Arrival> {
    let [program, frame] = [first, packet];
    for (let devices = 0; devices < MOST_DEVICES; devices++) {
      const context = { ifindex: IFINDEX, priority: cookie };
      const { action, packet: after } = await programs.run(program, frame, context, netns.path);
      if (action === TcAction.Drop) return undefined;
      const { targetMac, target } = readPacket(after);
      const isRedirected = action === TcAction.Redirect;
      const address = isRedirected ? podOfMac.get(targetMac) : target;
      if (address !== undefined && (isRedirected || program === "to_pod"))
        return { address, segment: readSegment(after) };
      // What is redirected to no pod begins at the device of the pod that it is from; the rest is the stack's.
      if (!isRedirected && !pods.has(target)) return undefined;
      [program, frame] = [isRedirected ? "from_pod" : "to_pod", after];
    }
    throw new Error("Cannot follow a packet that begins at devices again and again");
  }

  return {
    ...programs,
    write,
    /** From now on the VIP is of the Service with this row; 0: of none. */
    async setService(index: number): Promise<void> {
      const row = frontend(VIP, PORT, Proto.Tcp, index);
      await frontends.delete(new Set([row[0]]));
      if (index !== 0) await insertFrontends(frontends, [row]);
    },
    /** How many of the client's connects were moved, and of these how many are over. */
    countMoves(moved: number, ended: number): void {
      endpoints.storeWord32(CLIENT_ROW, EndpointRow.offsets.moved, moved);
      endpoints.storeWord32(CLIENT_ROW, EndpointRow.offsets.movesEnded, ended);
    },
    /** From now on the client's packets are of a socket that dialled the Service and got this backend. */
    dial(backend: TestBackendPod): void {
      writeOrigDst(programs.map(MAP_NAMES.tcpRecent), ++cookie, backend, ids.get(backend) ?? 0);
    },
    /** Sends a segment from a pod. */
    send: (fields: Partial<PacketFields> & Pick<PacketFields, "source" | "target">): Promise<Arrival> =>
      travel("from_pod", makePacket({ sourceMac: macOf(fields.source, "pod"), ...fields })),
    /** Sends the client an ICMP error of a router about a SYN to this backend. `code`: of "destination unreachable". */
    sendError(
      by: "from_network" | "to_pod",
      code: number,
      syn: { readonly sourcePort: number; readonly target: string; readonly seq: number },
    ): Promise<Arrival> {
      const quoted = quote(makePacket({ source: CLIENT, targetPort: PORT, ...syn }));
      const fields = { source: ROUTER, target: CLIENT, protocol: ICMP, sourcePort: (3 << 8) | code, targetPort: 0 };
      return travel(by, makePacket({ ...fields, quoted }));
    },
    /** From now on moved connects of the client have these ports to the backend. */
    async takePorts(backend: TestBackendPod, ports: readonly number[]): Promise<void> {
      const addresses = { a: parseAddress(CLIENT), b: parseAddress(backend.address) };
      const row = NatRow.decode(new Uint8Array(NatRow.size));
      const keys = ports.map((pa) => FlowKey.encode({ ...addresses, pa, pb: PORT, proto: Proto.Tcp, space: 0 }));
      const { failed } = await nat.insert(new Map(keys.map((key) => [bytesKey(key), NatRow.encode(row)])));
      for (const error of failed.values()) throw error;
    },
    idOf: (backend: TestBackendPod) => ids.get(backend) ?? 0,
    async natTuples(): Promise<readonly NatTuples[]> {
      return [...(await nat.load())].map(([key, value]) => tuplesOf(keyBytes(key), NatRow.decode(value)));
    },
    /** What the programs counted by Service. */
    moves: () => readServiceMoves(moves),
    async forgetMoves(): Promise<void> {
      await nat.delete(new Set((await nat.load()).keys()));
    },
  };
}

function writeService(write: Writer, backends: readonly TestBackendPod[]): ReadonlyMap<TestBackendPod, number> {
  const ids = new Map(
    backends.map((each, i) => {
      const { address, port = PORT, cluster } = each;
      return [each, write.backend({ index: i + 1, address, port, cluster })];
    }),
  );
  const tiers = Math.max(...backends.map(({ tier }) => tier)) + 1;
  write.service(
    SERVICE,
    Array.from({ length: tiers }, (_, i) => ({
      ids: backends.filter(({ tier }) => tier === i).map((each) => ids.get(each) ?? 0),
    })),
  );
  return ids;
}

/** As tcp_orig_dst_write(). */
function writeOrigDst(map: Fd, cookie: number, { address, port = PORT }: TestBackendPod, backend: number): void {
  const dialled = { vip: parseAddress(VIP), vipPort: PORT, service: SERVICE };
  const origDst = { ...dialled, addr: parseAddress(address), port, backend };
  const row = TcpOrigDstRow.encode({ cookie: BigInt(cookie), origDst, check: 0n });
  const { check } = TcpOrigDstRow.offsets;
  const [view, hash] = [viewOf(row, 0, TcpOrigDstRow.size), hash64(ROW_CHECK)];
  rowCheck(hash, view, 0, check / 8);
  view.setUint32(check, hash.low, true);
  view.setUint32(check + 4, hash.high, true);
  native().mapUpdate(map, new Uint8Array(Uint32Array.of(cookie).buffer), row, 0);
}

function tuplesOf(bytes: Uint8Array, row: NatRow): NatTuples {
  const { a, b, pa, pb } = FlowKey.decode(bytes);
  const [one, other] = [`${formatAddress(a)}:${pa}`, `${formatAddress(b)}:${pb}`];
  const isB = (row.flags & NatFlag.ClientIsB) !== 0;
  const client = formatAddress(isB ? b : a);
  return {
    key: isB ? `${other} ${one}` : `${one} ${other}`,
    other: `${client}:${row.clientPort} ${formatAddress(row.peer)}:${row.peerPort}`,
    row,
  };
}
