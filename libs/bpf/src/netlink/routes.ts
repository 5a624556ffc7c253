/** Routes of the main table: requests of rtnetlink, and what the kernel reports about one. */
import { type Address, addressFromBytes, formatAddress, formatPrefix, type Prefix, parseAddress } from "@isthmus/model";
import { AF_INET, AF_INET6, addressBytes, ofFamily, prefixFrom } from "./addresses.js";
import { type Attribute, bytesAttribute, joinBytes, parseAttributes, u32Attribute, u32Of } from "./attributes.js";
import { NetlinkFlag, type NetlinkMessage, type NetlinkRequest } from "./messages.js";

export interface Route {
  /** An IPv4 destination is v4-mapped: the default route is 0.0.0.0 with length 96. */
  readonly prefix: Prefix;
  /** `unreachable`: the kernel refuses packets to the destination. */
  readonly kind: "unicast" | "unreachable";
  /** Undefined = the destination is on the link, or the route is unreachable. */
  readonly gateway: Address | undefined;
  /** Index of the link; undefined = the kernel finds it by the gateway. */
  readonly link: number | undefined;
  /** The program that made it: RTPROT_BOOT is 3; 4 to 255 are programs. */
  readonly protocol: number;
  /** 0 = none given: 0 for IPv4, 1024 for IPv6. */
  readonly metric: number;
}

/** A route to write. */
export interface NewRoute extends Route {
  /** The gateway is on the link although no route leads to it. */
  readonly onLink?: boolean;
}

export const RouteMessage = { New: 24, Delete: 25, Get: 26 } as const;
/** Bytes of struct rtmsg. */
export const ROUTE_HEADER = 12;
export const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;

const MAIN_TABLE = 254;
const UNICAST = 1;
/** RTN_UNREACHABLE */
export const UNREACHABLE = 7;
const Scope = { Universe: 0, Link: 253, Nowhere: 255 } as const;
const RTNH_F_ONLINK = 4;
const NONE = new Uint8Array(16);

/** Adds the route, or replaces the one with the same prefix and metric. */
export function setRoute(route: NewRoute): NetlinkRequest {
  const { prefix, kind, gateway, link, protocol, metric, onLink } = route;
  const onDevice = kind === "unicast" && gateway === undefined;
  const header = routeHeader(prefix, {
    protocol,
    scope: onDevice ? Scope.Link : Scope.Universe,
    type: kind === "unicast" ? UNICAST : UNREACHABLE,
    flags: onLink === true ? RTNH_F_ONLINK : 0,
  });
  const attributes: Attribute[] = [];
  if (gateway !== undefined) attributes.push(bytesAttribute(RTA_GATEWAY, addressBytes(gateway)));
  if (link !== undefined) attributes.push(u32Attribute(RTA_OIF, link));
  if (metric !== 0) attributes.push(u32Attribute(RTA_PRIORITY, metric));
  return {
    action: "set route",
    object: describe(route),
    type: RouteMessage.New,
    flags: NetlinkFlag.Create | NetlinkFlag.Replace,
    body: joinBytes(header, ...destination(prefix), ...attributes),
  };
}

/** Deletes a route of this prefix, kind and protocol, whatever its gateway and metric. ESRCH when there is none. */
export function deleteRoute(route: Pick<Route, "prefix" | "kind" | "protocol">): NetlinkRequest {
  const { prefix, kind, protocol } = route;
  const type = kind === "unicast" ? 0 : UNREACHABLE;
  const header = routeHeader(prefix, { protocol, scope: Scope.Nowhere, type, flags: 0 });
  return {
    action: "delete route",
    object: describe({ prefix, kind, gateway: undefined }),
    type: RouteMessage.Delete,
    flags: 0,
    body: joinBytes(header, ...destination(prefix)),
  };
}

/** What a dump of routes is limited to. */
export interface RouteFilter {
  /** One family per dump. */
  readonly family: "IPv4" | "IPv6";
  /** 0 = all. */
  readonly protocol: number;
  /** Index of a link. */
  readonly link?: number;
}

/** A dump of the main table. It ends with ENOENT when the namespace has no such table yet, and so no route. */
export function listRoutes({ family, protocol, link }: RouteFilter): NetlinkRequest {
  const header = Uint8Array.of(family === "IPv4" ? AF_INET : AF_INET6, 0, 0, 0, MAIN_TABLE, protocol, 0, 0, 0, 0, 0, 0);
  const body = joinBytes(header, ...(link === undefined ? [] : [u32Attribute(RTA_OIF, link)]));
  return { action: "list", object: `${family} routes`, type: RouteMessage.Get, flags: 0, body };
}

/** Undefined for a message that is no unicast or unreachable route of the main table, or not complete. */
export function parseRoute({ type, body }: NetlinkMessage): Route | undefined {
  if (type !== RouteMessage.New || body.length < ROUTE_HEADER) return undefined;
  const [family = 0, length = 0, , , table, protocol = 0, , kind] = body;
  const attributes = parseAttributes(body, ROUTE_HEADER);
  if (table !== MAIN_TABLE || (kind !== UNICAST && kind !== UNREACHABLE) || attributes === undefined) return undefined;
  const gateway = attributes.get(RTA_GATEWAY);
  return {
    prefix: prefixFrom(attributes.get(RTA_DST) ?? NONE.subarray(family === AF_INET ? 12 : 0), length),
    kind: kind === UNICAST ? "unicast" : "unreachable",
    gateway: gateway === undefined ? undefined : addressFromBytes(gateway),
    link: u32Of(attributes.get(RTA_OIF)),
    protocol,
    metric: u32Of(attributes.get(RTA_PRIORITY)) ?? 0,
  };
}

/** The destination of a default route of IPv4. */
export const DEFAULT_IPV4: Prefix = { address: parseAddress("0.0.0.0"), length: 96 };

function describe({ prefix, kind, gateway }: Pick<Route, "prefix" | "kind" | "gateway">): string {
  const via = gateway === undefined ? "" : ` via ${formatAddress(gateway)}`;
  return `${kind === "unreachable" ? "unreachable " : ""}${formatPrefix(prefix)}${via}`;
}

/** A default route has none. */
function destination(prefix: Prefix): readonly Attribute[] {
  const { bytes, length } = ofFamily(prefix);
  return length === 0 ? [] : [bytesAttribute(RTA_DST, bytes)];
}

/** struct rtmsg */
function routeHeader(
  prefix: Prefix,
  header: { readonly protocol: number; readonly scope: number; readonly type: number; readonly flags: number },
): Uint8Array {
  const { family, length } = ofFamily(prefix);
  const bytes = new Uint8Array(ROUTE_HEADER);
  bytes.set([family, length, 0, 0, MAIN_TABLE, header.protocol, header.scope, header.type]);
  new DataView(bytes.buffer).setUint32(8, header.flags, true);
  return bytes;
}
