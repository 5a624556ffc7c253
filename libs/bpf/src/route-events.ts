/**
 * Parses the kernel's notifications about links, addresses, routes and neighbours.
 *
 * In: rtnetlink datagrams. Out: one event per change. The event `lost` means that the socket overflowed, so that the
 * state must be read again. A message that does not parse is reported as `lost` too.
 */
import { type Address, addressFromBytes, type Prefix } from "@isthmus/model";
import { native, type RouteSocket } from "./native.js";
import { ADDRESS_HEADER, AddressMessage, AF_INET, prefixFrom } from "./netlink/addresses.js";
import { parseAttributes, textOf } from "./netlink/attributes.js";
import { IFF_UP, IFLA_IFNAME, LINK_HEADER, LinkMessage } from "./netlink/links.js";
import { NetlinkFlag, type NetlinkMessage, parseMessages } from "./netlink/messages.js";
import { NDA_DST, NEIGHBOUR_HEADER, NeighbourMessage, NUD_PERMANENT } from "./netlink/neighbours.js";
import { ROUTE_HEADER, RouteMessage, RTA_DST, UNREACHABLE } from "./netlink/routes.js";

export type RouteEvent =
  /** A route of any table. `gone`: it was deleted; `replaces`: it took the place of another one. */
  | {
      readonly kind: "route";
      readonly gone: boolean;
      readonly replaces: boolean;
      readonly unreachable: boolean;
      readonly protocol: number;
      readonly prefix: Prefix;
    }
  | { readonly kind: "neighbour"; readonly gone: boolean; readonly permanent: boolean; readonly address: Address }
  /** `turned`: this event reports that the link went up or down; a new link is down. */
  | {
      readonly kind: "link";
      readonly gone: boolean;
      readonly name: string;
      readonly up: boolean;
      readonly turned: boolean;
    }
  /** `linkLocal`: it is valid on its link only, as the one that the kernel gives every device for IPv6. */
  | { readonly kind: "address"; readonly gone: boolean; readonly linkLocal: boolean }
  /** A setting changed, such as forwarding or rp_filter. */
  | { readonly kind: "setting" }
  | { readonly kind: "lost" };

export interface RouteEventSocket extends Pick<RouteSocket, "listen" | "rest" | "close"> {
  /** Returns all queued events, or a part if there are very many; the listener is then called again for the rest. */
  receive(): readonly RouteEvent[];
}

/** RTNLGRP_LINK, _NEIGH, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE, _IPV4_NETCONF as bits. */
const GROUPS = [1, 3, 5, 7, 9, 11, 24].reduce((mask, group) => mask | (1 << (group - 1)), 0);

/** Most datagrams per call of `receive`; a socket's default buffer holds about three hundred. */
const MOST_DATAGRAMS = 1000;

/** Subscribes to rtnetlink in the network namespace of this process. */
export function openRouteEvents(): RouteEventSocket {
  const socket = native().openRouteSocket(GROUPS);
  return {
    listen: (callback) => socket.listen(callback),
    rest: (rests) => socket.rest(rests),
    close: () => socket.close(),
    receive() {
      const events: RouteEvent[] = [];
      for (let taken = 0; taken < MOST_DATAGRAMS; taken++) {
        const bytes = receiveOne(socket);
        if (bytes === undefined) events.push(LOST);
        else if (bytes.length === 0) break;
        else events.push(...parseRouteEvents(bytes));
      }
      return events;
    },
  };
}

/** Returns undefined when notifications were lost. */
function receiveOne(socket: RouteSocket): Uint8Array | undefined {
  try {
    return socket.receive();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOBUFS") return undefined;
    throw error;
  }
}

const LOST: RouteEvent = { kind: "lost" };
/** RTM_NEWNETCONF */
const SETTING = 80;
/** `ifi_change` of a new link: everything changed. */
const MADE = 0xffff_ffff;
/** RT_SCOPE_LINK */
const SCOPE_LINK = 253;

/** Messages of other types give no event; bytes that are no messages give one `lost`. */
export function parseRouteEvents(bytes: Uint8Array): readonly RouteEvent[] {
  return parseMessages(bytes)?.flatMap((message) => parseEvent(message) ?? []) ?? [LOST];
}

function parseEvent({ type, flags, body }: NetlinkMessage): RouteEvent | undefined {
  // Each kind of object has two message types: added or changed (even), and deleted (odd).
  const gone = (type & 1) === 1;
  const kind = type & ~1;
  if (kind === LinkMessage.New) return linkEvent(body, gone) ?? LOST;
  if (kind === AddressMessage.New) return addressEvent(body, gone) ?? LOST;
  if (kind === RouteMessage.New) return routeEvent(body, gone, (flags & NetlinkFlag.Replace) !== 0) ?? LOST;
  if (kind === NeighbourMessage.New) return neighbourEvent(body, gone) ?? LOST;
  return kind === SETTING ? { kind: "setting" } : undefined;
}

/** Each of these returns undefined when the body is too short or misses an attribute. */
function linkEvent(body: Uint8Array, gone: boolean): RouteEvent | undefined {
  if (body.length < LINK_HEADER) return undefined;
  const name = textOf(parseAttributes(body, LINK_HEADER)?.get(IFLA_IFNAME));
  if (name === undefined) return undefined;
  const view = viewOf(body);
  const [flags, change] = [view.getUint32(8, true), view.getUint32(12, true)];
  return { kind: "link", gone, name, up: (flags & IFF_UP) !== 0, turned: change !== MADE && (change & IFF_UP) !== 0 };
}

function addressEvent(body: Uint8Array, gone: boolean): RouteEvent | undefined {
  return body.length < ADDRESS_HEADER ? undefined : { kind: "address", gone, linkLocal: body[3] === SCOPE_LINK };
}

function routeEvent(body: Uint8Array, gone: boolean, replaces: boolean): RouteEvent | undefined {
  const destination = body.length < ROUTE_HEADER ? undefined : addressOf(body, ROUTE_HEADER, RTA_DST);
  if (destination === undefined) return undefined;
  const [, length = 0, , , , protocol = 0, , type] = body;
  const unreachable = type === UNREACHABLE;
  return {
    kind: "route",
    gone,
    replaces: !gone && replaces,
    unreachable,
    protocol,
    prefix: prefixFrom(destination, length),
  };
}

function neighbourEvent(body: Uint8Array, gone: boolean): RouteEvent | undefined {
  const bytes = body.length < NEIGHBOUR_HEADER ? undefined : addressOf(body, NEIGHBOUR_HEADER, NDA_DST);
  if (bytes === undefined) return undefined;
  const permanent = (viewOf(body).getUint16(8, true) & NUD_PERMANENT) !== 0;
  return { kind: "neighbour", gone, permanent, address: addressFromBytes(bytes) };
}

/** 4 or 16 bytes; without a destination it is a default route. */
function addressOf(body: Uint8Array, header: number, wanted: number): Uint8Array | undefined {
  const attributes = parseAttributes(body, header);
  if (attributes === undefined) return undefined;
  const bytes = attributes.get(wanted) ?? new Uint8Array(body[0] === AF_INET ? 4 : 16);
  return bytes.length === 4 || bytes.length === 16 ? bytes : undefined;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
