/** Wires pods to a node in a network namespace, as the CNI plugin does. */
import type { TestContext } from "node:test";
import { makeNetns, type TestNetns } from "./netns.js";

const GATEWAY = "169.254.1.1";

export interface WiredPod {
  readonly netns: TestNetns;
  /** Index of the node's side of its veth. */
  readonly ifindex: number;
  /** Of the pod's side. */
  readonly mac: string;
  /** Of the node's side. */
  readonly hostMac: string;
}

/** Makes a pod with this address, whose veth is `host` on the node. */
export function wirePod(t: TestContext, node: TestNetns, host: string, address: string): WiredPod {
  const netns = makeNetns(t);
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
  return { netns, ifindex: node.index(host), mac, hostMac };
}
