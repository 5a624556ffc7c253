/** Wires pods to a node in a network namespace, as the CNI plugin does. */
import type { TestContext } from "node:test";
import { makeNetns, type TestNetns } from "./netns.js";

const GATEWAY = "169.254.1.1";

export interface WiredPod {
  readonly netns: TestNetns;
  /** Index of the node's side of its veth. */
  readonly ifindex: number;
  /** Number that the node's namespace has for the pod's. */
  readonly netnsId: number;
  /** Of the pod's side. */
  readonly mac: string;
  /** Of the node's side. */
  readonly hostMac: string;
}

/** Makes a pod with this address, whose veth is `host` on the node. */
export function wirePod(t: TestContext, node: TestNetns, host: string, address: string): WiredPod {
  const netns = makeNetns(t);
  const [mac, hostMac] = [macOf("02:00", address), macOf("02:01", address)];
  // Together: a process for each command takes longer than what it does.
  const shown = node.ipAll([
    `link add ${host} address ${hostMac} type veth peer name eth0 address ${mac} netns ${netns.name}`,
    `link set ${host} up`,
    `route add ${address}/32 dev ${host}`,
    `neigh add ${address} lladdr ${mac} dev ${host} nud permanent`,
    `link show ${host}`,
  ]);
  netns.ipAll([
    "link set eth0 up",
    `addr add ${address}/32 dev eth0`,
    `route add ${GATEWAY} dev eth0`,
    `route add default via ${GATEWAY} dev eth0`,
    `neigh add ${GATEWAY} lladdr ${hostMac} dev eth0 nud permanent`,
  ]);
  const [{ ifindex, link_netnsid: netnsId }] = JSON.parse(shown) as [{ ifindex: number; link_netnsid: number }];
  return { netns, ifindex, netnsId, mac, hostMac };
}

function macOf(prefix: string, address: string): string {
  return [prefix, ...address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"))].join(":");
}
