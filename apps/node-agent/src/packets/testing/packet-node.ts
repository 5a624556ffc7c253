/** A node in a network namespace with pods, wired as the CNI plugin wires them, and the agent's mode `packets` on it. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import {
  type Datapath,
  type DatapathMode,
  type DatapathOptions,
  type Netlink,
  openDatapath,
  openNetlink,
  type PacketPath,
  removePins,
  type RouteEvent,
  rtnetlink,
  withNetlink,
} from "@isthmus/bpf";
import { makeNetns, OBJECTS, type Sockets, startSockets, type TestNetns, uniqueName } from "@isthmus/bpf/testing";
import { formatAddress, parseAddress, systemClock } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { Node } from "@isthmus/proto";
import { waitFor } from "@isthmus/runtime";
import { makeNode } from "@isthmus/testing";
import { type NodeName, nodeName } from "../../desired/nodes/nodes.js";
import { createPodNames, type PodNames } from "../../events/pod-names.js";
import type { NetworkListener } from "../../network/network-changes.js";
import { deviceMacs, hostDeviceName } from "../../pods/device-name.js";
import type { PodAttachment } from "../../pods/types.js";
import { openEndpointTable } from "../endpoint-table.js";
import { type Packets, startPackets } from "../packets.js";

const GATEWAY = "169.254.1.1";

export interface PacketNode {
  readonly netns: TestNetns;
  /** Makes a pod with its devices, addresses and routes; attaches nothing. */
  makePod(container: string, address: string): TestPod;
  /** As at the ADDs of these pods, one after another. */
  attach(pods: readonly PodAttachment[]): Promise<void>;
  /** Starts an agent in this mode, in the place of the one that runs. */
  start(mode: DatapathMode, options?: Pick<DatapathOptions, "confirmUnenforced">): Promise<Datapath>;
  /** Of the agent that runs, in mode `packets`. */
  packets(): Packets;
  /** Of the agent that runs. */
  datapath(): Datapath;
  /** The maps of the agent that runs, in mode `packets`. */
  path(): PacketPath;
  /** Attaches to these pods, and resolves when packets between pods of the node are of the mesh. */
  adopt(pods: readonly PodAttachment[]): Promise<void>;
  /** What the mesh knows of nodes; at first the node itself, with 10.1.0.0/24. */
  readonly nodes: Map<NodeName, Node>;
  /** Links of programs on devices, as `from_pod@12`. */
  attached(): readonly string[];
  /** The names of its pods. */
  readonly names: PodNames;
  /** Devices on which attaching fails. */
  readonly refusing: Set<number>;
  /** Passes events of the node's network on, as if they had come from the kernel. */
  changed(events: readonly RouteEvent[]): void;
}

export interface TestPod {
  readonly attachment: PodAttachment;
  readonly sockets: Sockets;
  readonly netns: TestNetns;
}

export function makePacketNode(t: TestContext): PacketNode {
  const bpffs = join("/sys/fs/bpf", uniqueName("packets"));
  const own = Node.decode(makeNode("n1", "172.18.0.1", "10.1.0.0/24").value);
  const nodes = new Map<NodeName, Node>([[nodeName(1, "n1"), own]]);
  const listeners: NetworkListener[] = [];
  const refusing = new Set<number>();
  const names = createPodNames();
  let [datapath, packets, stop]: [Datapath | undefined, Packets | undefined, AbortController] = [
    undefined,
    undefined,
    new AbortController(),
  ];
  t.after(async () => {
    stop.abort();
    await packets?.idle();
    if (datapath !== undefined) await datapath.destroy();
    else if (existsSync(bpffs)) await removePins(bpffs, netns.path);
  });

  // After what ends the agent, which needs the namespace.
  const netns = makeNetns(t);
  netns.sysctl("net.ipv4.ip_forward=1");
  netns.ip("link", "set", "lo", "up");

  function socketsIn(of: TestNetns): Sockets {
    const sockets = startSockets(undefined, of.path);
    t.after(() => sockets.end());
    return sockets;
  }

  function refuse(links: PacketPath["links"]): PacketPath["links"] {
    function demandAccepts(ifindex: number): void {
      if (refusing.has(ifindex)) throw new Error(`Device ${ifindex} refuses programs`);
    }
    return {
      ...links,
      async attach(ifindex, programs) {
        demandAccepts(ifindex);
        await links.attach(ifindex, programs);
      },
      async attachAtOnce(ifindex, programs) {
        demandAccepts(ifindex);
        return links.attachAtOnce(ifindex, programs);
      },
    };
  }

  return {
    netns,
    names,
    nodes,
    refusing,
    attached: () =>
      readdirSync(bpffs)
        .filter((pin) => pin.startsWith("tcx_"))
        .map((pin) => pin.replace(/^tcx_[a-z]+_/, ""))
        .sort(),
    changed(events) {
      for (const listener of listeners) listener(events);
    },
    packets() {
      if (packets === undefined) throw new Error("The agent is not in mode packets");
      return packets;
    },
    async adopt(pods) {
      await packets?.devices.adopt(pods);
      packets?.update(nodes.keys());
      const known = async () => ((await datapath?.packets?.podRanges.load())?.size ?? 0) > 0;
      await waitFor("the node's range", known, { timeoutMs: 10_000 });
    },
    async attach(pods) {
      for (const attachment of pods) {
        const read = (netlink: Netlink) => rtnetlink.readLink(netlink, attachment.hostDevice);
        const link = await withNetlink(openNetlink, netns.path, read);
        if (link === undefined) throw new Error(`Cannot find device "${attachment.hostDevice}"`);
        await packets?.devices.attach(attachment, link);
      }
    },
    datapath() {
      if (datapath === undefined) throw new Error("No agent runs");
      return datapath;
    },
    path() {
      if (datapath?.packets === undefined) throw new Error("The agent is not in mode packets");
      return datapath.packets;
    },
    makePod(container, address) {
      const pod = makeNetns(t);
      const hostDevice = hostDeviceName(container, "eth0");
      const macs = deviceMacs(hostDevice);
      const peer = ["peer", "name", "eth0", "address", macs.pod, "netns", pod.name];
      netns.ip("link", "add", hostDevice, "address", macs.host, "type", "veth", ...peer);
      netns.ip("link", "set", hostDevice, "up");
      pod.ip("link", "set", "eth0", "up");
      pod.ip("addr", "add", `${address}/32`, "dev", "eth0");
      pod.ip("route", "add", GATEWAY, "dev", "eth0");
      pod.ip("route", "add", "default", "via", GATEWAY, "dev", "eth0");
      netns.ip("route", "add", `${address}/32`, "dev", hostDevice);
      pod.ip("neigh", "add", GATEWAY, "lladdr", macs.host, "dev", "eth0", "nud", "permanent");
      netns.ip("neigh", "add", address, "lladdr", macs.pod, "dev", hostDevice, "nud", "permanent");
      const attachment = {
        ...{ hostDevice, addresses: [parseAddress(address)] as const, containerId: container, interfaceName: "eth0" },
        ...{ namespace: "shop", name: container, uid: `uid-${formatAddress(parseAddress(address))}` },
      };
      return { attachment, sockets: socketsIn(pod), netns: pod };
    },
    async start(mode, options) {
      stop.abort();
      await packets?.idle();
      stop = new AbortController();
      datapath?.close();
      datapath = undefined;
      const opened = await openDatapath({
        ...options,
        bpffs,
        objectDir: OBJECTS,
        config: { clusterId: 1 },
        mode,
        netns: netns.path,
      });
      datapath = opened;
      const gracePeriod = () => opened.gracePeriod();
      const removed = async () => void (await packets?.forgetPods());
      packets =
        opened.packets &&
        (await startPackets({
          path: { ...opened.packets, links: refuse(opened.packets.links) },
          table: await openEndpointTable(opened.packets, { gracePeriod, removed }),
          openNetlink: () => openNetlink(netns.path),
          changes: { subscribe: (listener) => void listeners.push(listener) },
          names,
          monotonicNs: () => process.hrtime.bigint(),
          nodes: () => nodes,
          complete: () => true,
          log: silentLogger,
          clock: systemClock,
          signal: stop.signal,
        }));
      return opened;
    },
  };
}
