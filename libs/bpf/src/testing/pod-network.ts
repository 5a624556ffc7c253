/** A node with pods in network namespaces, wired as the agent wires them, with the programs of pod.bpf.c attached. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type MechanismName, openDeviceLinks } from "../attach/device-links.js";
import type { DeviceProgram } from "../attach/device-mechanism.js";
import { native } from "../native.js";
import { uniqueName } from "./cgroup.js";
import { makeNetns, type TestNetns } from "./netns.js";
import { loadPodPrograms, type PodProgram } from "./pod-programs.js";
import { type Sockets, startSockets } from "./sockets.js";

const GATEWAY = "169.254.1.1";

/** Pods have devices `pod1`, `pod2`, … on the node. */
export function makePodNode(t: TestContext, mechanism: MechanismName) {
  const programs = loadPodPrograms(t);
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

  return {
    ...programs,
    node,
    nodeSockets: () => sockets(node),
    async addLivePod(address: string): Promise<{ readonly netns: TestNetns; readonly sockets: Sockets }> {
      const netns = makeNetns(t);
      const host = `pod${++pods}`;
      node.ip("link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", netns.name);
      node.ip("link", "set", host, "up");
      netns.ip("link", "set", "eth0", "up");
      netns.ip("addr", "add", `${address}/32`, "dev", "eth0");
      netns.ip("route", "add", GATEWAY, "dev", "eth0");
      netns.ip("route", "add", "default", "via", GATEWAY, "dev", "eth0");
      node.ip("route", "add", `${address}/32`, "dev", host);
      const [mac, hostMac] = [netns.mac("eth0"), node.mac(host)];
      netns.ip("neigh", "add", GATEWAY, "lladdr", hostMac, "dev", "eth0", "nud", "permanent");
      node.ip("neigh", "add", address, "lladdr", mac, "dev", host, "nud", "permanent");
      const ifindex = node.index(host);
      programs.addPod({ address, ifindex, mac, hostMac });
      await links.attach(ifindex, [attached("from_pod", "ingress"), attached("to_pod", "egress")]);
      return { netns, sockets: sockets(netns) };
    },
  };
}
