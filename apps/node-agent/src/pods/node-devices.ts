/** Reads the agent's devices and routes in the node's network namespace. */
import { readFile } from "node:fs/promises";
import { type Netlink, type OpenNetlink, rtnetlink, withNetlink } from "@isthmus/bpf";
import { deviceMacs, isHostDeviceName } from "./device-name.js";
import { POD_ROUTE_PROTOCOL } from "./pod-requests.js";
import type { PodAddresses } from "./types.js";

const DEFAULT_MTU = 1500;

/**
 * Devices whose names match the agent's pattern; the name alone does not identify a device of the agent.
 * `/proc/self/net` is of this process's namespace, `/sys/class/net` may be of another one.
 */
export async function listDevices(): Promise<ReadonlySet<string>> {
  const lines = (await readFile("/proc/self/net/dev", "latin1")).split("\n");
  const names = lines.map((line) => line.slice(0, line.indexOf(":")).trim());
  return new Set(names.filter(isHostDeviceName));
}

/** Veths of the agent, recognised by the MAC that is derived from the name. */
export async function agentDevices(open: OpenNetlink): Promise<ReadonlySet<string>> {
  const links = await withNetlink(open, undefined, readVeths);
  return new Set(links.flatMap(({ name, mac }) => (mac === deviceMacs(name).host ? [name] : [])));
}

/** IPv4 addresses of pods by host device, from the agent's routes, for the case that the state file is lost. */
export function addressesByDevice(open: OpenNetlink): Promise<ReadonlyMap<string, PodAddresses>> {
  return withNetlink(open, undefined, async (netlink) => {
    const names = new Map((await readVeths(netlink)).map(({ index, name }) => [index, name]));
    const addresses = new Map<string, PodAddresses>();
    for (const { link = 0, prefix } of await readPodRoutes(netlink)) {
      const name = names.get(link);
      if (name !== undefined) addresses.set(name, [prefix.address]);
    }
    return addresses;
  });
}

/** MTU of the device of the default route; 1500 on a node without a default route. */
export function uplinkMtu(open: OpenNetlink): Promise<number> {
  return withNetlink(open, undefined, async (netlink) => {
    const routes = await rtnetlink.readRoutes(netlink, { family: "IPv4", protocol: 0 });
    const uplink = routes.find(({ prefix }) => prefix.length === rtnetlink.DEFAULT_IPV4.length)?.link;
    const links = uplink === undefined ? [] : await rtnetlink.readLinks(netlink);
    return links.find(({ index }) => index === uplink)?.mtu ?? DEFAULT_MTU;
  });
}

/** Veths with a name of the agent's pattern. */
export async function readVeths(netlink: Netlink): Promise<readonly rtnetlink.Link[]> {
  return (await rtnetlink.readLinks(netlink, "veth")).filter(({ name }) => isHostDeviceName(name));
}

/** The agent's routes to pods: all, or those of one device. */
export async function readPodRoutes(netlink: Netlink, link?: number): Promise<readonly rtnetlink.Route[]> {
  const ofLink = link === undefined ? {} : { link };
  const routes = await rtnetlink.readRoutes(netlink, { family: "IPv4", protocol: POD_ROUTE_PROTOCOL, ...ofLink });
  return routes.filter(({ prefix }) => prefix.length === 128);
}
