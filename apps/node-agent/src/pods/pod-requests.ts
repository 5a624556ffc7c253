/**
 * The requests for a pod's network: those in the node's network namespace, and those in the pod's. Pure.
 *
 * ```
 *   pod: eth0 10.11.0.5/32 ── veth ── mesh…: node      10.11.0.5 dev mesh… proto 78
 *        default via 169.254.1.1 onlink                neighbours of both sides are permanent: no ARP
 * ```
 * Every request except for the creation of the pair can be repeated.
 */
import { type NetlinkRequest, rtnetlink } from "@isthmus/bpf";
import { parseAddress } from "@isthmus/model";
import { deviceMacs } from "./device-name.js";
import type { PodAttachment } from "./types.js";

/** Marks the agent's routes to pods (its routes to other nodes have 77). */
export const POD_ROUTE_PROTOCOL = 78;
/** RTPROT_BOOT, the protocol of `ip route add`. */
const DEFAULT_ROUTE_PROTOCOL = 3;
export const GATEWAY = "169.254.1.1";
const GATEWAY_ADDRESS = parseAddress(GATEWAY);

/** Creates the pair, with the pod's end at once under its name in the pod's namespace, which `netnsFd` has open. */
export function createPair(pod: PodAttachment, netnsFd: number, mtu: number): NetlinkRequest {
  const mac = deviceMacs(pod.hostDevice);
  return rtnetlink.createVeth(
    { name: pod.hostDevice, mac: mac.host, mtu },
    { name: pod.interfaceName, mac: mac.pod, mtu },
    netnsFd,
  );
}

/** `link`: index of the pod's device on the node. */
export function configureHost(pod: PodAttachment, link: number): readonly NetlinkRequest[] {
  const { addresses, hostDevice } = pod;
  return [
    rtnetlink.setLinkUp(hostDevice),
    ...addresses.flatMap((address) => [
      rtnetlink.setNeighbour({ link, address, mac: deviceMacs(hostDevice).pod }),
      rtnetlink.setRoute({
        prefix: { address, length: 128 },
        kind: "unicast",
        gateway: undefined,
        link,
        protocol: POD_ROUTE_PROTOCOL,
        metric: 0,
      }),
    ]),
  ];
}

/** `link`: index of the pod's interface in its namespace. */
export function configurePod(pod: PodAttachment, link: number): readonly NetlinkRequest[] {
  const { addresses, interfaceName, hostDevice } = pod;
  return [
    rtnetlink.setLinkUp("lo"),
    ...addresses.map((address) => rtnetlink.setAddress({ link, prefix: { address, length: 128 } })),
    rtnetlink.setLinkUp(interfaceName),
    rtnetlink.setNeighbour({ link, address: GATEWAY_ADDRESS, mac: deviceMacs(hostDevice).host }),
    rtnetlink.setRoute({
      prefix: rtnetlink.DEFAULT_IPV4,
      kind: "unicast",
      gateway: GATEWAY_ADDRESS,
      link,
      protocol: DEFAULT_ROUTE_PROTOCOL,
      metric: 0,
      onLink: true,
    }),
  ];
}
