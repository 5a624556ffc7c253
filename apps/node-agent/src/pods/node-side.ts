/**
 * Reads the node's side of pod networks in the kernel (device, route, neighbour) and finds what is missing of one pod.
 */
import { type Netlink, type OpenNetlink, rtnetlink, withNetlink } from "@isthmus/bpf";
import { formatAddress, isV4 } from "@isthmus/model";
import { deviceMacs } from "./device-name.js";
import { readPodRoutes, readVeths } from "./node-devices.js";
import type { PodAttachment } from "./types.js";

export interface NodeSide {
  /** Devices whose names match the agent's pattern; true = up. */
  readonly devices: ReadonlyMap<string, boolean>;
  /** `<address> <device>` of the agent's routes. */
  readonly routes: ReadonlySet<string>;
  /** `<address> <device> <mac>` of permanent neighbours. */
  readonly neighbours: ReadonlySet<string>;
}

const NOTHING: NodeSide = { devices: new Map(), routes: new Set(), neighbours: new Set() };

/** Reads one device, or all. Rejects with `NETLINK`. */
export function readNodeSide(open: OpenNetlink, device?: string): Promise<NodeSide> {
  return withNetlink(open, undefined, async (netlink) => {
    const links = device === undefined ? await readVeths(netlink) : await readDevice(netlink, device);
    const only = device === undefined ? undefined : links[0]?.index;
    if (device !== undefined && only === undefined) return NOTHING;
    const names = new Map(links.map(({ index, name }) => [index, name]));
    const routes = await readPodRoutes(netlink, only);
    const neighbours = await rtnetlink.readIpv4Neighbours(netlink, only);
    const on = (link = 0) => names.get(link) ?? "";
    return {
      devices: new Map(links.map(({ name, up }) => [name, up])),
      routes: new Set(routes.map(({ prefix, link }) => `${formatAddress(prefix.address)} ${on(link)}`)),
      neighbours: new Set(
        neighbours
          .filter(({ permanent }) => permanent)
          .map(({ address, link, mac }) => `${formatAddress(address)} ${on(link)} ${mac}`),
      ),
    };
  });
}

/** The first thing that is missing of a pod on the node's side, or undefined. Looks at IPv4 addresses, as `readNodeSide` does. */
export function missingOf(pod: PodAttachment, side: NodeSide): string | undefined {
  const { hostDevice } = pod;
  if (side.devices.get(hostDevice) !== true) return `device "${hostDevice}" up`;
  const mac = deviceMacs(hostDevice).pod;
  for (const address of pod.addresses.filter(isV4).map(formatAddress)) {
    if (!side.routes.has(`${address} ${hostDevice}`)) return `route ${address} dev ${hostDevice}`;
    if (!side.neighbours.has(`${address} ${hostDevice} ${mac}`)) return `neighbour ${address} ${mac}`;
  }
  return undefined;
}

async function readDevice(netlink: Netlink, name: string): Promise<readonly rtnetlink.Link[]> {
  const link = await rtnetlink.readLink(netlink, name);
  return link === undefined ? [] : [link];
}
