/**
 * The commands for a pod's network, as lines for `ip -batch`: one batch in the node's network namespace, one in the
 * pod's. Pure.
 *
 * ```
 *   pod: eth0 10.11.0.5/32 ── veth ── mesh…: node      10.11.0.5 dev mesh… proto 78
 *        default via 169.254.1.1 onlink                neighbours of both sides are permanent: no ARP
 * ```
 * Every line can be repeated.
 */
import { formatAddress } from "@isthmus/model";
import { deviceMacs } from "./device-name.js";
import type { PodAttachment } from "./types.js";

/** Marks the agent's routes to pods (its routes to other nodes have 77). */
export const POD_ROUTE_PROTOCOL = 78;
export const GATEWAY = "169.254.1.1";

/**
 * Creates the pair, with the pod's end at once under its name in the pod's namespace (`netns` as this process sees it).
 */
export function createPair(pod: PodAttachment, netns: string, mtu: number): readonly string[] {
  const mac = deviceMacs(pod.hostDevice);
  return [
    `link add name ${pod.hostDevice} address ${mac.host} mtu ${mtu} type veth ` +
      `peer name ${pod.interfaceName} address ${mac.pod} mtu ${mtu} netns ${netns}`,
  ];
}

export function configureHost(pod: PodAttachment): readonly string[] {
  const address = formatAddress(pod.address);
  return [
    `link set dev ${pod.hostDevice} up`,
    `neigh replace ${address} lladdr ${deviceMacs(pod.hostDevice).pod} dev ${pod.hostDevice} nud permanent`,
    `route replace ${address}/32 dev ${pod.hostDevice} scope link proto ${POD_ROUTE_PROTOCOL}`,
  ];
}

export function configurePod(pod: PodAttachment): readonly string[] {
  const device = pod.interfaceName;
  return [
    "link set dev lo up",
    `addr replace ${formatAddress(pod.address)}/32 dev ${device}`,
    `link set dev ${device} up`,
    `neigh replace ${GATEWAY} lladdr ${deviceMacs(pod.hostDevice).host} dev ${device} nud permanent`,
    `route replace default via ${GATEWAY} dev ${device} onlink`,
  ];
}
