/** A node with pods in network namespaces, wired as the agent wires them, with the programs of pod.bpf.c attached. */
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { type MechanismName, openDeviceLinks } from "../attach/device-links.js";
import type { DeviceProgram } from "../attach/device-mechanism.js";
import { native } from "../native.js";
import { uniqueName } from "./cgroup.js";
import { makeNetns, type TestNetns } from "./netns.js";
import { loadPodPrograms, type PodProgram } from "./pod-programs.js";
import { wirePod } from "./pod-wiring.js";
import { type Sockets, startSockets } from "./sockets.js";

const FLOOD = fileURLToPath(new URL("../../../../bpf/build/flood", import.meta.url));
const FRAGMENTS = fileURLToPath(new URL("../../../../bpf/tests/fragments.py", import.meta.url));

export interface LivePod {
  readonly netns: TestNetns;
  readonly sockets: Sockets;
  /** Of the node's side of its veth. */
  readonly hostMac: string;
}

/** Pods have devices `pod1`, `pod2`, … on the node, and addresses of its range 10.1.0.0/16. */
export function makePodNode(t: TestContext, mechanism: MechanismName, flows?: number) {
  const programs = loadPodPrograms(t, flows === undefined ? {} : { flows });
  programs.addRange("10.1.0.0/16", 1);
  const node = makeNetns(t);
  node.sysctl("net.ipv4.ip_forward=1");
  const pinFolder = join("/sys/fs/bpf", uniqueName("pods"));
  mkdirSync(pinFolder);
  t.after(() => rmSync(pinFolder, { recursive: true, force: true }));
  const links = openDeviceLinks({ pinFolder, netns: node.path, mechanism });
  let pods = 0;

  const attached = (name: PodProgram, direction: DeviceProgram["direction"]): DeviceProgram => {
    const fd = programs.fd(name);
    return { name, fd, info: native().programInfo(fd), direction };
  };

  /** Sockets in a namespace, ended with the test. */
  function sockets(netns: TestNetns): Sockets {
    const started = startSockets(undefined, netns.path);
    t.after(() => started.end());
    return started;
  }

  /** Sends SYNs from random ports until it is ended, which resolves to how many it sent a second. */
  function flood(
    netns: TestNetns,
    device: string,
    nextMac: string,
    from: string,
    to: string,
    ports: readonly number[],
  ) {
    const argv = [`--net=${netns.path}`, FLOOD, device, nextMac, from, to, ...ports.map(String)];
    const child = spawn("nsenter", argv, { stdio: ["pipe", "pipe", "inherit"] });
    t.after(() => child.kill());
    return async (): Promise<number> => {
      child.stdin.end();
      return Number(await text(child.stdout));
    };
  }

  /** Sends one datagram of UDP as fragments of these numbers, in this order. `id`: of their IP headers. */
  function sendFragments(
    netns: TestNetns,
    [device, nextMac]: readonly [device: string, nextMac: string],
    [from, to, port]: readonly [from: string, to: string, port: number],
    id: number,
    order: readonly number[],
  ): void {
    const args = [FRAGMENTS, device, netns.mac(device), nextMac, from, to, port, id, ...order].map(String);
    execFileSync("nsenter", [`--net=${netns.path}`, "python3", ...args]);
  }

  return {
    ...programs,
    node,
    flood,
    sendFragments,
    /** A wire to another node, whose pods have addresses of this range: the other end's namespace, with `up1`. */
    async addUplink(range: string): Promise<{ readonly other: TestNetns; readonly mac: string }> {
      const other = makeNetns(t);
      node.ip("link", "add", "up0", "type", "veth", "peer", "name", "up1", "netns", other.name);
      other.ip("link", "set", "up1", "up");
      node.ip("link", "set", "up0", "up");
      node.ip("addr", "add", "192.168.9.1/24", "dev", "up0");
      node.ip("route", "add", range, "via", "192.168.9.2");
      node.ip("neigh", "add", "192.168.9.2", "lladdr", other.mac("up1"), "dev", "up0", "nud", "permanent");
      programs.addRange(range, 2);
      await links.attach(node.index("up0"), [attached("from_network", "ingress"), attached("to_network", "egress")]);
      return { other, mac: node.mac("up0") };
    },
    nodeSockets: () => sockets(node),
    /** Sockets in the namespace of another node. */
    socketsIn: sockets,
    async addLivePod(address: string): Promise<LivePod> {
      const { netns, ifindex, mac, hostMac } = wirePod(t, node, `pod${++pods}`, address);
      programs.addPod({ address, ifindex, mac, hostMac });
      await links.attach(ifindex, [attached("from_pod", "ingress"), attached("to_pod", "egress")]);
      return { netns, sockets: sockets(netns), hostMac };
    },
  };
}
