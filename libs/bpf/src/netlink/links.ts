/** Links (network devices): requests of rtnetlink, and what the kernel reports about one. */
import {
  bytesAttribute,
  joinBytes,
  nestedAttribute,
  parseAttributes,
  textAttribute,
  textOf,
  u32Attribute,
  u32Of,
} from "./attributes.js";
import { NetlinkFlag, type NetlinkMessage, type NetlinkRequest } from "./messages.js";

export interface Link {
  /** Positive, unique in its network namespace: addresses, routes and neighbours name it. */
  readonly index: number;
  /** At most 15 characters; may be changed while the index stays. */
  readonly name: string;
  /** Set up by an administrator (IFF_UP); it may have no carrier. */
  readonly up: boolean;
  /** As `02:00:00:00:00:01`; "" for a link without one. */
  readonly mac: string;
  /** In bytes; 0 when the kernel did not report it. */
  readonly mtu: number;
  /** For example `veth`; "" for a device of hardware and for `lo`. */
  readonly kind: string;
  /** Index of the other end of a veth, in the namespace of that end; 0 = none. */
  readonly peer: number;
  /**
   * Number that this link's namespace has for the namespace of the other end, from 0; the kernel gives one when the link
   * is read. Undefined = both ends are in one namespace, or there is no other end.
   */
  readonly peerNetnsId: number | undefined;
}

/** One end of a veth to create. */
export interface VethEnd {
  /** At most 15 characters. */
  readonly name: string;
  /** As `02:00:00:00:00:01`. */
  readonly mac: string;
  /** In bytes. */
  readonly mtu: number;
}

export const LinkMessage = { New: 16, Delete: 17, Get: 18, Set: 19 } as const;
/** Bytes of struct ifinfomsg. */
export const LINK_HEADER = 16;
export const IFF_UP = 1;

const Attribute = {
  Address: 1,
  Name: 3,
  Mtu: 4,
  Link: 5,
  LinkInfo: 18,
  AfSpec: 26,
  NetnsFd: 28,
  ExtMask: 29,
  LinkNetnsId: 37,
} as const;
export const IFLA_IFNAME = Attribute.Name;
const INFO_KIND = 1;
const INFO_DATA = 2;
const VETH_INFO_PEER = 1;
/** RTEXT_FILTER_SKIP_STATS: counters are most of a link's bytes. */
const WITHOUT_COUNTERS = 8;
const MAX_NETNS_ID = 2 ** 31 - 1;

/** Creates a veth: one end here, the other one in the network namespace of this open file. Both are down. */
export function createVeth(here: VethEnd, there: VethEnd, netnsFd: number): NetlinkRequest {
  const peer = joinBytes(header({}), ...endAttributes(there), u32Attribute(Attribute.NetnsFd, netnsFd));
  const info = nestedAttribute(
    Attribute.LinkInfo,
    textAttribute(INFO_KIND, "veth"),
    nestedAttribute(INFO_DATA, nestedAttribute(VETH_INFO_PEER, peer)),
  );
  return {
    action: "create device",
    object: `"${here.name}" (veth, the other end is "${there.name}")`,
    type: LinkMessage.New,
    flags: NetlinkFlag.Create | NetlinkFlag.Exclusive,
    body: joinBytes(header({}), ...endAttributes(here), info),
  };
}

/** ENODEV when there is no such device; no error when it is up already. */
export function setLinkUp(name: string): NetlinkRequest {
  const body = joinBytes(header({ flags: IFF_UP, change: IFF_UP }), textAttribute(Attribute.Name, name));
  return { action: "set up device", object: `"${name}"`, type: LinkMessage.Set, flags: 0, body };
}

/** ENODEV when there is none. */
export function deleteLink(name: string): NetlinkRequest {
  const body = joinBytes(header({}), textAttribute(Attribute.Name, name));
  return { action: "delete device", object: `"${name}"`, type: LinkMessage.Delete, flags: 0, body };
}

/** Its answer is one link; ENODEV when there is none. */
export function getLink(name: string): NetlinkRequest {
  const body = joinBytes(
    header({}),
    textAttribute(Attribute.Name, name),
    u32Attribute(Attribute.ExtMask, WITHOUT_COUNTERS),
  );
  return { action: "read device", object: `"${name}"`, type: LinkMessage.Get, flags: 0, body };
}

/** A dump of all links, or of one kind if the kernel knows it: the caller checks `kind`. */
export function listLinks(kind?: string): NetlinkRequest {
  const filter = kind === undefined ? [] : [nestedAttribute(Attribute.LinkInfo, textAttribute(INFO_KIND, kind))];
  const body = joinBytes(header({}), u32Attribute(Attribute.ExtMask, WITHOUT_COUNTERS), ...filter);
  return { action: "list", object: "devices", type: LinkMessage.Get, flags: 0, body };
}

/** Sets a value of /proc/sys/net/ipv4/conf/<device>; `setting`: IPV4_DEVCONF_…. ENODEV when there is no such device. */
export function setLinkIpv4Setting(name: string, setting: number, value: number): NetlinkRequest {
  const conf = nestedAttribute(INET_CONF, u32Attribute(setting, value));
  const spec = nestedAttribute(Attribute.AfSpec, nestedAttribute(AF_INET, conf));
  const body = joinBytes(header({}), textAttribute(Attribute.Name, name), spec);
  return { action: "configure device", object: `"${name}"`, type: LinkMessage.Set, flags: 0, body };
}

const AF_INET = 2;
/** IFLA_INET_CONF */
const INET_CONF = 1;

/** Undefined for a message that is no link, or not complete. */
export function parseLink({ type, body }: NetlinkMessage): Link | undefined {
  const attributes = body.length < LINK_HEADER ? undefined : parseAttributes(body, LINK_HEADER);
  const name = textOf(attributes?.get(Attribute.Name));
  if (type !== LinkMessage.New || attributes === undefined || name === undefined) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const info = parseAttributes(attributes.get(Attribute.LinkInfo) ?? new Uint8Array());
  return {
    index: view.getInt32(4, true),
    name,
    up: (view.getUint32(8, true) & IFF_UP) !== 0,
    mac: formatMac(attributes.get(Attribute.Address) ?? new Uint8Array()),
    mtu: u32Of(attributes.get(Attribute.Mtu)) ?? 0,
    kind: textOf(info?.get(INFO_KIND)) ?? "",
    peer: u32Of(attributes.get(Attribute.Link)) ?? 0,
    peerNetnsId: netnsIdOf(attributes.get(Attribute.LinkNetnsId)),
  };
}

/** A signed number; a negative one (NETNSA_NSID_NOT_ASSIGNED) names no namespace. */
function netnsIdOf(value: Uint8Array | undefined): number | undefined {
  const id = u32Of(value);
  return id === undefined || id > MAX_NETNS_ID ? undefined : id;
}

/** 6 bytes of `02:00:00:00:00:01`. */
export function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(":"), (part) => Number.parseInt(part, 16));
}

/** As `02:00:00:00:00:01`; "" for no bytes. */
export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

function endAttributes({ name, mac, mtu }: VethEnd): readonly Uint8Array[] {
  return [
    textAttribute(Attribute.Name, name),
    bytesAttribute(Attribute.Address, macBytes(mac)),
    u32Attribute(Attribute.Mtu, mtu),
  ];
}

/** struct ifinfomsg without an index: an attribute has the name. */
function header({ flags = 0, change = 0 }: { readonly flags?: number; readonly change?: number }): Uint8Array {
  const bytes = new Uint8Array(LINK_HEADER);
  const view = new DataView(bytes.buffer);
  view.setUint32(8, flags, true);
  view.setUint32(12, change, true);
  return bytes;
}
