/**
 * Parses the kernel's notifications about links, addresses, routes and neighbours.
 *
 * In: rtnetlink datagrams. Out: one event per change. The event `lost` means that the socket overflowed, so that the
 * state must be read again. A message that does not parse is reported as `lost` too.
 */
import { type Address, addressFromBytes, type Prefix, parseAddress } from "@isthmus/model";
import { native, type RouteSocket } from "./native.js";

export type RouteEvent =
  /** A route of any table. `gone`: it was deleted; otherwise it was added, or replaced another one. */
  | { readonly kind: "route"; readonly gone: boolean; readonly protocol: number; readonly prefix: Prefix }
  | { readonly kind: "neighbour"; readonly gone: boolean; readonly permanent: boolean; readonly address: Address }
  /** `turned`: this event reports that the link went up or down; a new link is down. */
  | {
      readonly kind: "link";
      readonly gone: boolean;
      readonly name: string;
      readonly up: boolean;
      readonly turned: boolean;
    }
  | { readonly kind: "address" }
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
const Type = { link: 16, address: 20, route: 24, neighbour: 28, setting: 80 } as const;
const HEADER = 16;
const IFF_UP = 1;
/** `ifi_change` of a new link: everything changed. */
const MADE = 0xffff_ffff;
const NUD_PERMANENT = 0x80;
/** RTA_DST of a route and NDA_DST of a neighbour have the same number. */
const ATTRIBUTE_DST = 1;
const ATTRIBUTE_IFNAME = 3;
const AF_INET = 2;

export function parseRouteEvents(bytes: Uint8Array): readonly RouteEvent[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const events: RouteEvent[] = [];
  let at = 0;
  while (at + HEADER <= bytes.length) {
    const length = view.getUint32(at, true);
    if (length < HEADER || at + length > bytes.length) return [...events, LOST];
    const type = view.getUint16(at + 4, true);
    const body = bytes.subarray(at + HEADER, at + length);
    // Each kind of object has two message types: added or changed (even), and deleted (odd).
    const event = parseBody(type & ~1, (type & 1) === 1, body);
    if (event !== undefined) events.push(event);
    at += (length + 3) & ~3;
  }
  return events;
}

function parseBody(type: number, gone: boolean, body: Uint8Array): RouteEvent | undefined {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  if (type === Type.address) return { kind: "address" };
  if (type === Type.setting) return { kind: "setting" };
  if (type !== Type.link && type !== Type.route && type !== Type.neighbour) return undefined;
  // struct rtmsg and struct ndmsg have 12 bytes, struct ifinfomsg has 16.
  const size = type === Type.link ? 16 : 12;
  if (body.length < size) return LOST;
  if (type === Type.link) {
    const [flags, change] = [view.getUint32(8, true), view.getUint32(12, true)];
    const name = attribute(body, size, ATTRIBUTE_IFNAME);
    if (name === undefined) return LOST;
    return {
      kind: "link",
      gone,
      name: textOf(name),
      up: (flags & IFF_UP) !== 0,
      turned: change !== MADE && (change & IFF_UP) !== 0,
    };
  }
  const address = addressOf(view.getUint8(0), attribute(body, size, ATTRIBUTE_DST));
  if (address === undefined) return LOST;
  if (type === Type.neighbour)
    return { kind: "neighbour", gone, permanent: (view.getUint16(8, true) & NUD_PERMANENT) !== 0, address };
  const length = view.getUint8(1) + (view.getUint8(0) === AF_INET ? 96 : 0);
  return { kind: "route", gone, protocol: view.getUint8(5), prefix: { address, length } };
}

/** The bytes of the first attribute of type `wanted`. */
function attribute(body: Uint8Array, first: number, wanted: number): Uint8Array | undefined {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  for (let at = first; at + 4 <= body.length; ) {
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > body.length) return undefined;
    if ((view.getUint16(at + 2, true) & 0x3fff) === wanted) return body.subarray(at + 4, at + length);
    at += (length + 3) & ~3;
  }
  return undefined;
}

/** Without a destination it is a default route. */
function addressOf(family: number, bytes: Uint8Array | undefined): Address | undefined {
  if (bytes === undefined) return parseAddress(family === AF_INET ? "0.0.0.0" : "::");
  if (bytes.length === 16) return addressFromBytes(bytes);
  return bytes.length === 4 ? parseAddress(bytes.join(".")) : undefined;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1").replace(/\0.*$/s, "");
}
