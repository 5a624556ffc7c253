/** Nodes in network namespaces whose pods dial Services: the datapath in mode `packets`, with the programs at sockets too. */
import { join } from "node:path";
import type { TestContext } from "node:test";
import { bytesKey, formatAddress, parseAddress, parsePrefix } from "@isthmus/model";
import type { HashPort } from "@isthmus/reconcile";
import { createClsactFilters } from "../attach/clsact-filters.js";
import { type MechanismName, openDeviceLinks } from "../attach/device-links.js";
import type { DeviceProgram } from "../attach/device-mechanism.js";
import { type Datapath, openDatapath } from "../datapath.js";
import { createBodyReader, createFlowReader, flowTime, type OriginalDestination } from "../flows.js";
import {
  EndpointKey,
  EndpointRow,
  FlowBody,
  FlowRow,
  FrontendFlag,
  Limit,
  MAP_NAMES,
  NatRow,
  NodeRow,
  PodRangeKey,
  PodRangeRow,
  Proto,
} from "../gen/index.js";
import { native } from "../native.js";
import { macBytes } from "../netlink/links.js";
import type { PacketPath } from "../packet-path.js";
import { makeCgroup, uniqueName } from "./cgroup.js";
import { makeNetns, type TestNetns } from "./netns.js";
import { OBJECTS } from "./objects.js";
import { type WiredPod, wirePod } from "./pod-wiring.js";
import { runOnSkb, type SkbRun } from "./skb-run.js";
import { type Sockets, startSockets } from "./sockets.js";
import { createWriter, frontend, insertFrontends, type TestTier, type Writer } from "./writer.js";

export interface ServicePod extends WiredPod {
  readonly address: string;
  /** A process of the pod, which starts when it is first used. */
  readonly sockets: Sockets;
}

/** A flow of the node that its pod opened to a Service. */
export interface FlowWithService extends Omit<OriginalDestination, "vip"> {
  /** Ends as `10.1.0.1:80`, the one that began first. */
  readonly ends: readonly [source: string, destination: string];
  readonly vip: string;
}

export interface ServiceNode {
  readonly netns: TestNetns;
  readonly datapath: Datapath;
  readonly write: Writer;
  /** A process in the node's own network namespace and in the cgroup of pods; it starts when it is first used. */
  readonly sockets: Sockets;
  /** Makes a pod and attaches programs to its device. */
  addPod(address: string): Promise<ServicePod>;
  /** Adds a Service with these tiers of backends; the others of its VIP's ports are refused. */
  addService(index: number, vip: string, port: number, proto: Proto, tiers: readonly TestTier[]): Promise<void>;
  /** Attaches the programs of an uplink. */
  attachUplink(device: string): Promise<void>;
  /** From now on pods of the mesh have addresses of this range. */
  addRange(cidr: string, cluster: number): Promise<void>;
  /** The flows of which a body tells what was dialled. */
  flowsToServices(): readonly FlowWithService[];
  /** Counters that are not 0. */
  counts(): Readonly<Record<string, number>>;
  /** Runs a program on a frame that the device got. */
  run(program: "from_pod" | "from_network", ifindex: number, packet: Uint8Array): Promise<SkbRun>;
  /** Round-trip time of a node by its index, in microseconds; 0 = not known. */
  rttUs(node: number): number;
  /** Empties mesh_conntrack. */
  forgetFlows(): void;
  /** Rows of mesh_nat, two for each flow that was moved. */
  natRows(): Promise<readonly NatRow[]>;
}

const SIZES = { flows: 1024, frontends: 256, services: 64, backends: 64, nodes: 64, udp: 1024 };

export interface ServiceNodeOptions {
  /** `both`: a device has each program twice. That of the agent by default. */
  readonly mechanism?: MechanismName | "both";
  readonly range?: string;
}

/** Its pods have addresses of 10.1.0.0/16 unless another range is added. */
export async function makeServiceNode(
  t: TestContext,
  { mechanism, range = "10.1.0.0/16" }: ServiceNodeOptions = {},
): Promise<ServiceNode> {
  const processes: Sockets[] = [];
  let pods = 0;
  let opened: Datapath | undefined;
  const unique = uniqueName("services");
  const bpffs = join("/sys/fs/bpf", unique);
  const cgroup = makeCgroup(unique);
  // Before the hook that removes the namespace, whose devices are detached from.
  t.after(async () => {
    for (const sockets of processes) await sockets.end();
    await opened?.destroy();
    cgroup.remove();
  });
  const netns = makeNetns(t);
  netns.sysctl("net.ipv4.ip_forward=1");
  // As the agent does: behind the routes to the pods that there are.
  netns.ip("route", "add", "unreachable", range, "metric", "4278198272");
  const datapath = await openDatapath({
    ...{ bpffs, cgroup: cgroup.path, objectDir: OBJECTS, config: { clusterId: 1 } },
    ...{ mode: "packets", netns: netns.path, sizes: SIZES },
  });
  opened = datapath;
  const packets = packetsOf(datapath);
  const filters = createClsactFilters(bpffs, netns.path);
  const links =
    mechanism === undefined || mechanism === "both"
      ? packets.links
      : openDeviceLinks({ pinFolder: bpffs, netns: netns.path, mechanism });
  const write = createWriter(datapath);
  const [readFlow, readBody] = [createFlowReader(packets.flows.seed), createBodyReader(packets.flows.seed)];

  async function attach(ifindex: number, programs: readonly DeviceProgram[]): Promise<void> {
    await links.attach(ifindex, programs);
    if (mechanism === "both") await filters.attach(ifindex, programs);
  }

  async function addRange(cidr: string, cluster: number): Promise<void> {
    const { address, length } = parsePrefix(cidr);
    const value = PodRangeRow.encode({ cluster, flags: 0 });
    await insert(packets.podRanges, PodRangeKey.encode({ length, addr: address }), value);
  }

  async function addRow(index: number, address: string, { ifindex, mac, hostMac, netnsId }: WiredPod): Promise<void> {
    const addr = parseAddress(address);
    const row = EndpointRow.decode(new Uint8Array(EndpointRow.size));
    const macs = { mac: macBytes(mac), hostMac: macBytes(hostMac) };
    const body = EndpointRow.encode({ ...row, ...macs, ifindex, netnsId: netnsId + 1, addr });
    const { ifindex: begin } = EndpointRow.offsets;
    packets.endpoints.writeBody(index, body.subarray(begin), begin);
    packets.endpoints.storeWord32(index, EndpointRow.offsets.id, index);
    await insert(packets.endpointIndex, EndpointKey.encode({ addr }), bytesOf(index));
  }

  /** Starts a process in the cgroup when it is first asked for. */
  function socketsIn(path: string): () => Sockets {
    let started: Sockets | undefined;
    return () => {
      if (started !== undefined) return started;
      started = startSockets(cgroup.path, path);
      processes.push(started);
      return started;
    };
  }

  await addRange(range, 1);
  const ownSockets = socketsIn(netns.path);
  return {
    get sockets() {
      return ownSockets();
    },
    netns,
    datapath,
    write,
    addRange,
    async addPod(address) {
      const pod = wirePod(t, netns, `pod${pods + 1}`, address);
      await addRow(++pods, address, pod);
      await attach(pod.ifindex, packets.podPrograms);
      const sockets = socketsIn(pod.netns.path);
      return {
        ...pod,
        address,
        get sockets() {
          return sockets();
        },
      };
    },
    async addService(index, vip, port, proto, tiers) {
      write.service(index, tiers);
      await insertFrontends(datapath.frontends, [
        frontend(vip, port, proto, index),
        frontend(vip, 0, Proto.Any, 0, FrontendFlag.Reject),
      ]);
    },
    attachUplink: (device) => attach(netns.index(device), packets.uplinkPrograms),
    flowsToServices() {
      const { flows } = packets;
      const [rows, bodies] = [flows.read(0, flows.maxEntries), flows.readBodies(0, flows.maxEntries)];
      const now = flowTime(process.hrtime.bigint());
      return Array.from({ length: flows.maxEntries * Limit.FlowSet }, (_, i): FlowWithService[] => {
        const flow = readFlow(rows, i * FlowRow.size, now);
        const body = readBody(rows.subarray(i * FlowRow.size), bodies.subarray(i * FlowBody.size));
        if (typeof flow === "string" || body === undefined) return [];
        const ends = [
          `${formatAddress(flow.source)}:${flow.sourcePort}`,
          `${formatAddress(flow.destination)}:${flow.destinationPort}`,
        ] as const;
        return [{ ...body, ends, vip: formatAddress(body.vip) }];
      }).flat();
    },
    run(name, ifindex, packet) {
      const program = [...packets.podPrograms, ...packets.uplinkPrograms].find((each) => each.name === name);
      if (program === undefined) throw new Error(`Cannot find program "${name}"`);
      return runOnSkb(program.fd, { packet, context: { ifindex }, netns: netns.path });
    },
    rttUs: (node) => NodeRow.decode(datapath.nodes.read(node)).rttUs,
    forgetFlows() {
      const map = native().openPin(join(bpffs, MAP_NAMES.conntrack));
      const empty = new Uint8Array(Limit.FlowSet * FlowRow.size);
      for (let set = 0; set < packets.flows.maxEntries; set++) native().mapUpdate(map, bytesOf(set), empty, 0);
      map.close();
    },
    natRows: async () => [...(await packets.nat.load()).values()].map((row) => NatRow.decode(row)),
    counts: () => Object.fromEntries([...datapath.metrics()].filter(([, value]) => value !== 0)),
  };
}

/** Joins two nodes by a wire, each with a route to the other's pods. */
export async function joinNodes(
  one: ServiceNode,
  other: ServiceNode,
  ranges: { readonly one: string; readonly other: string },
): Promise<void> {
  one.netns.ip("link", "add", "up0", "type", "veth", "peer", "name", "up0", "netns", other.netns.name);
  await attachWire(one, other, ranges);
}

/** The same with nodes that are joined already: both have a device `up0`. */
export async function attachWire(
  one: ServiceNode,
  other: ServiceNode,
  ranges: { readonly one: string; readonly other: string },
): Promise<void> {
  for (const [node, own, next, range] of [
    [one, "192.168.9.1", "192.168.9.2", ranges.other],
    [other, "192.168.9.2", "192.168.9.1", ranges.one],
  ] as const) {
    node.netns.ipAll([`addr add ${own}/24 dev up0`, "link set up0 up", `route add ${range} via ${next}`]);
    await node.addRange(range, 1);
    await node.attachUplink("up0");
  }
}

function bytesOf(word: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(word).buffer);
}

function packetsOf({ packets }: Datapath): PacketPath {
  if (packets === undefined) throw new Error("The datapath is not in mode packets");
  return packets;
}

async function insert(port: HashPort, key: Uint8Array, value: Uint8Array): Promise<void> {
  for (const error of (await port.insert(new Map([[bytesKey(key), value]]))).failed.values()) throw error;
}
