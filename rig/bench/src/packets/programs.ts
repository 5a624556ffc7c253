/**
 * The programs of mode `packets` on the nodes of a network, with a Service for each server: a client dials a ClusterIP, which
 * its socket translates, and the packets go past the stack. Events are read, those of drops or of flows too.
 */
import { join } from "node:path";
import {
  type Datapath,
  EndpointKey,
  EndpointRow,
  EventKind,
  openDatapath,
  type PacketPath,
  PodRangeKey,
  PodRangeRow,
  Proto,
  rtnetlink,
} from "@isthmus/bpf";
import { createWriter, frontend, insertFrontends, OBJECTS } from "@isthmus/bpf/testing";
import { bytesKey, parseAddress, parsePrefix } from "@isthmus/model";
import type { Later } from "../undoing.js";
import { enforcePolicies } from "./enforce.js";
import { CLUSTER_IPS, type Network, type NetworkNode, PATHS, POD_RANGES, PORT, type Pod, SERVERS } from "./network.js";

export interface Programs {
  /** Of each node. */
  readonly datapaths: readonly Datapath[];
  /** Packets that the programs of both nodes delivered to pods. */
  delivered(): number;
  /** Times that the policy of a pod was asked. */
  judged(): number;
  /** True: events of flows are written from now on, as when somebody monitors; false: only those of drops. */
  writeFlows(on: boolean): void;
}

const DROPS = [EventKind.Drop];
const FLOWS = [EventKind.FlowNew, EventKind.FlowPickedUp, EventKind.FlowClosed];
const QUEUED_BYTES = 1 << 20;

export interface ProgramsOptions {
  /** Of programs other than those of this checkout. */
  readonly objectDir?: string;
  /** Every pod has a policy. */
  readonly enforce?: boolean;
}

export async function attachPrograms(
  network: Network,
  later: Later,
  { objectDir = OBJECTS, enforce = false }: ProgramsOptions = {},
): Promise<Programs> {
  const datapaths: Datapath[] = [];
  for (const node of network.nodes) {
    datapaths.push(await openNode(node, objectDir, later));
    if (enforce) enforcePolicies(pinsOf(node), new Map(node.pods.map(({ address }, i) => [address, i + 1])), later);
  }
  const sum = (name: string) => datapaths.reduce((all, datapath) => all + (datapath.metrics().get(name) ?? 0), 0);
  return {
    datapaths,
    delivered: () => sum("deliver"),
    judged: () => sum("judged"),
    writeFlows(on) {
      for (const { packets } of datapaths) packets?.events.want(on ? [...DROPS, ...FLOWS] : DROPS);
    },
  };
}

function pinsOf({ netns }: NetworkNode): string {
  return join("/sys/fs/bpf", netns);
}

async function openNode(node: NetworkNode, objectDir: string, later: Later): Promise<Datapath> {
  const { cgroup, netns, pods, uplink } = node;
  const datapath = await openDatapath({
    ...{ bpffs: pinsOf(node), objectDir, config: { clusterId: 1 } },
    ...{ mode: "packets", netns: `/run/netns/${netns}`, cgroup },
  });
  later(() => datapath.destroy());
  const { packets } = datapath;
  if (packets === undefined) throw new Error("Cannot measure without mode packets");
  await writeServices(datapath);
  await writeRanges(packets);
  for (const [i, pod] of pods.entries()) await writePod(packets, i + 1, pod);
  for (const { ifindex } of pods) await packets.links.attach(ifindex, packets.podPrograms);
  await packets.links.attach(uplink, packets.uplinkPrograms);
  packets.events.want(DROPS);
  const reader = packets.events.read(QUEUED_BYTES, () => undefined);
  later(() => reader.close());
  return datapath;
}

async function writeServices(datapath: Datapath): Promise<void> {
  const writer = createWriter(datapath);
  const rows = PATHS.map((path, i) => {
    const id = writer.backend({ index: i + 1, address: SERVERS[path], port: PORT, node: i + 1 });
    writer.service(i + 1, [{ ids: [id], tries: 3, cluster: 1 }]);
    return frontend(CLUSTER_IPS[path], PORT, Proto.Tcp, i + 1);
  });
  await insertFrontends(datapath.frontends, rows);
}

async function writeRanges({ podRanges }: PacketPath): Promise<void> {
  const row = PodRangeRow.encode({ cluster: 1, flags: 0 });
  for (const range of POD_RANGES) {
    const { address, length } = parsePrefix(range);
    await podRanges.insert(new Map([[bytesKey(PodRangeKey.encode({ length, addr: address })), row]]));
  }
}

async function writePod({ endpoints, endpointIndex }: PacketPath, index: number, pod: Pod): Promise<void> {
  const addr = parseAddress(pod.address);
  const [mac, hostMac] = [rtnetlink.macBytes(pod.mac), rtnetlink.macBytes(pod.hostMac)];
  const empty = EndpointRow.decode(new Uint8Array(EndpointRow.size));
  const row = EndpointRow.encode({ ...empty, ifindex: pod.ifindex, mac, hostMac, addr });
  endpoints.writeBody(index, row.subarray(EndpointRow.offsets.ifindex), EndpointRow.offsets.ifindex);
  endpoints.storeWord32(index, EndpointRow.offsets.id, index);
  const key = bytesKey(EndpointKey.encode({ addr }));
  await endpointIndex.insert(new Map([[key, new Uint8Array(Uint32Array.of(index).buffer)]]));
}
