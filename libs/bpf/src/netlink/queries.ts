/** What the kernel has of links, addresses, neighbours and routes. Each function rejects with `NETLINK`. */
import { MeshError } from "@isthmus/model";
import { type LinkAddress, listIpv4Addresses, parseLinkAddress } from "./addresses.js";
import { getLink, type Link, listLinks, parseLink } from "./links.js";
import { listIpv4Neighbours, type Neighbour, parseNeighbour } from "./neighbours.js";
import type { Netlink, NetlinkErrorData } from "./netlink.js";
import { listRoutes, parseRoute, type Route, type RouteFilter } from "./routes.js";

/** The link of this name; undefined = there is none. */
export async function readLink(netlink: Netlink, name: string): Promise<Link | undefined> {
  const [result] = await netlink.run([getLink(name)]);
  if (result?.error?.data.errno === "ENODEV") return undefined;
  if (result?.error !== undefined) throw result.error;
  return result?.messages.map(parseLink).find((link) => link !== undefined);
}

/** All links, or those of one kind. */
export async function readLinks(netlink: Netlink, kind?: string): Promise<readonly Link[]> {
  const links = await netlink.dump(listLinks(kind), parseLink);
  // The kernel does not filter by a kind whose module is not loaded.
  return kind === undefined ? links : links.filter((link) => link.kind === kind);
}

/** The IPv4 addresses of all links, or of one. */
export function readIpv4Addresses(netlink: Netlink, link?: number): Promise<readonly LinkAddress[]> {
  return netlink.dump(listIpv4Addresses(link), parseLinkAddress);
}

/** The IPv4 neighbours of all links, or of one. */
export function readIpv4Neighbours(netlink: Netlink, link?: number): Promise<readonly Neighbour[]> {
  return netlink.dump(listIpv4Neighbours(link), parseNeighbour);
}

/** Routes of the main table. */
export async function readRoutes(netlink: Netlink, filter: RouteFilter): Promise<readonly Route[]> {
  try {
    return await netlink.dump(listRoutes(filter), parseRoute);
  } catch (thrown) {
    // A namespace that never had a route has no main table.
    if (isErrno(thrown, "ENOENT")) return [];
    throw thrown;
  }
}

/** True for a `NETLINK` error with this errno. */
export function isErrno(thrown: unknown, errno: string): boolean {
  return thrown instanceof MeshError && thrown.code === "NETLINK" && (thrown.data as NetlinkErrorData).errno === errno;
}
