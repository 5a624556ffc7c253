/** Neighbours (address to MAC): requests of rtnetlink, and what the kernel reports about one. */
import { type Address, addressFromBytes, formatAddress, isV4 } from "@isthmus/model";
import { AF_INET, AF_INET6, addressBytes } from "./addresses.js";
import { bytesAttribute, joinBytes, parseAttributes, u32Attribute } from "./attributes.js";
import { formatMac, macBytes } from "./links.js";
import { NetlinkFlag, type NetlinkMessage, type NetlinkRequest } from "./messages.js";

export interface Neighbour {
  /** Index of the link. */
  readonly link: number;
  /** An IPv4 address is v4-mapped. */
  readonly address: Address;
  /** "" while it is not known. */
  readonly mac: string;
  /** It does not expire. */
  readonly permanent: boolean;
}

export const NeighbourMessage = { New: 28, Delete: 29, Get: 30 } as const;
/** Bytes of struct ndmsg. */
export const NEIGHBOUR_HEADER = 12;
export const NUD_PERMANENT = 0x80;
export const NDA_DST = 1;
const NDA_LLADDR = 2;
const NDA_IFINDEX = 8;

/** Adds a permanent neighbour, or replaces the one of this address. */
export function setNeighbour({ link, address, mac }: Omit<Neighbour, "permanent">): NetlinkRequest {
  return {
    action: "set neighbour",
    object: `${formatAddress(address)} (${mac})`,
    type: NeighbourMessage.New,
    flags: NetlinkFlag.Create | NetlinkFlag.Replace,
    body: joinBytes(
      header(isV4(address) ? AF_INET : AF_INET6, link, NUD_PERMANENT),
      bytesAttribute(NDA_DST, addressBytes(address)),
      bytesAttribute(NDA_LLADDR, macBytes(mac)),
    ),
  };
}

/** A dump of the IPv4 neighbours of all links, or of one. */
export function listIpv4Neighbours(link?: number): NetlinkRequest {
  const filter = link === undefined ? [] : [u32Attribute(NDA_IFINDEX, link)];
  const body = joinBytes(header(AF_INET, 0, 0), ...filter);
  return { action: "list", object: "neighbours", type: NeighbourMessage.Get, flags: 0, body };
}

/** Undefined for a message that is no neighbour, or not complete. */
export function parseNeighbour({ type, body }: NetlinkMessage): Neighbour | undefined {
  const attributes = body.length < NEIGHBOUR_HEADER ? undefined : parseAttributes(body, NEIGHBOUR_HEADER);
  const bytes = attributes?.get(NDA_DST);
  if (type !== NeighbourMessage.New || (bytes?.length !== 4 && bytes?.length !== 16)) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  return {
    link: view.getInt32(4, true),
    address: addressFromBytes(bytes),
    mac: formatMac(attributes?.get(NDA_LLADDR) ?? new Uint8Array()),
    permanent: (view.getUint16(8, true) & NUD_PERMANENT) !== 0,
  };
}

/** struct ndmsg */
function header(family: number, link: number, state: number): Uint8Array {
  const bytes = new Uint8Array(NEIGHBOUR_HEADER);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, family);
  view.setInt32(4, link, true);
  view.setUint16(8, state, true);
  return bytes;
}
