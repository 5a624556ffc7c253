/** Addresses of links: requests of rtnetlink, and what the kernel reports about one. */
import { type Address, addressFromBytes, formatPrefix, isV4, type Prefix } from "@isthmus/model";
import { bytesAttribute, joinBytes, parseAttributes } from "./attributes.js";
import { NetlinkFlag, type NetlinkMessage, type NetlinkRequest } from "./messages.js";

/** An address of a link; the prefix's address may have bits beyond its length. */
export interface LinkAddress {
  /** Index of the link. */
  readonly link: number;
  /** An IPv4 one is v4-mapped: its length is from 96 to 128. */
  readonly prefix: Prefix;
}

export const AddressMessage = { New: 20, Delete: 21, Get: 22 } as const;
/** Bytes of struct ifaddrmsg. */
export const ADDRESS_HEADER = 8;
export const AF_INET = 2;
export const AF_INET6 = 10;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;

/** Adds an address to a link, or changes nothing when it is there. */
export function setAddress({ link, prefix }: LinkAddress): NetlinkRequest {
  const { family, bytes, length } = ofFamily(prefix);
  return {
    action: "set address",
    object: formatPrefix(prefix),
    type: AddressMessage.New,
    flags: NetlinkFlag.Create | NetlinkFlag.Replace,
    body: joinBytes(header(family, length, link), bytesAttribute(IFA_LOCAL, bytes), bytesAttribute(IFA_ADDRESS, bytes)),
  };
}

/** A dump of the IPv4 addresses of all links, or of one. */
export function listIpv4Addresses(link?: number): NetlinkRequest {
  const body = header(AF_INET, 0, link ?? 0);
  const object = link === undefined ? "addresses" : `addresses of device ${link}`;
  return { action: "list", object, type: AddressMessage.Get, flags: 0, body };
}

/** Undefined for a message that is no address, or not complete. */
export function parseLinkAddress({ type, body }: NetlinkMessage): LinkAddress | undefined {
  const attributes = body.length < ADDRESS_HEADER ? undefined : parseAttributes(body, ADDRESS_HEADER);
  const bytes = attributes?.get(IFA_LOCAL) ?? attributes?.get(IFA_ADDRESS);
  if (type !== AddressMessage.New || (bytes?.length !== 4 && bytes?.length !== 16)) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  return { link: view.getUint32(4, true), prefix: prefixFrom(bytes, view.getUint8(1)) };
}

/** The prefix of an address of 4 or 16 bytes, whose length counts from its own start. */
export function prefixFrom(bytes: Uint8Array, length: number): Prefix {
  return { address: addressFromBytes(bytes), length: length + (bytes.length === 4 ? 96 : 0) };
}

/** The family, and bytes and length as the kernel has them: 4 bytes for IPv4. */
export function ofFamily(prefix: Prefix): {
  readonly family: number;
  readonly bytes: Uint8Array;
  readonly length: number;
} {
  const v4 = isV4(prefix.address) && prefix.length >= 96;
  return v4
    ? { family: AF_INET, bytes: prefix.address.subarray(12), length: prefix.length - 96 }
    : { family: AF_INET6, bytes: prefix.address, length: prefix.length };
}

/** 4 or 16 bytes. */
export function addressBytes(address: Address): Uint8Array {
  return isV4(address) ? address.subarray(12) : address;
}

function header(family: number, length: number, link: number): Uint8Array {
  const bytes = Uint8Array.of(family, length, 0, 0, 0, 0, 0, 0);
  new DataView(bytes.buffer).setUint32(4, link, true);
  return bytes;
}
