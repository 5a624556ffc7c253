/**
 * IP addresses as the maps and records hold them: 16 bytes, IPv4 as v4-mapped (`::ffff:a.b.c.d`).
 */
import { isIPv4, isIPv6 } from "node:net";
import { MeshError } from "./errors.js";

/** 16 bytes, network order. Made only by `parseAddress` and `addressFromBytes`. */
export type Address = Uint8Array & { readonly __brand: "Address" };

const V4_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** Parses an IPv4 or IPv6 text. Throws `ADDRESS` with the text when it is neither. */
export function parseAddress(text: string): Address {
  if (isIPv4(text)) return Uint8Array.from([...V4_PREFIX, ...text.split(".").map(Number)]) as Address;
  if (isIPv6(text) && !text.includes("%")) return parseV6(text);
  throw new MeshError({ code: "ADDRESS", value: text }, `Cannot read "${text}" as an IP address`);
}

/** Takes 4 or 16 bytes from a record. Throws `ADDRESS` on any other length. */
export function addressFromBytes(bytes: Uint8Array): Address {
  if (bytes.length === 4) return Uint8Array.from([...V4_PREFIX, ...bytes]) as Address;
  if (bytes.length === 16) return new Uint8Array(bytes) as Address;
  throw new MeshError({ code: "ADDRESS", length: bytes.length }, `Cannot read ${bytes.length} bytes as an IP address`);
}

/** True for IPv4 in its v4-mapped form. */
export function isV4(address: Uint8Array): boolean {
  if (address.length !== 16) return false;
  for (let i = 0; i < V4_PREFIX.length; i++) if (address[i] !== V4_PREFIX[i]) return false;
  return true;
}

/** True for an IPv4 address of a group of hosts, or that of all (255.255.255.255). */
export function isV4Multicast(address: Uint8Array): boolean {
  return isV4(address) && (address[12] ?? 0) >= 224;
}

/** `10.1.2.3`, or the canonical IPv6 text (RFC 5952). */
export function formatAddress(address: Uint8Array): string {
  if (isV4(address)) return address.subarray(12).join(".");
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((address[2 * i] ?? 0) << 8) | (address[2 * i + 1] ?? 0)).toString(16),
  );
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

function parseV6(text: string): Address {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const tail = dotted === null ? [] : (dotted[2] ?? "").split(".").map(Number);
  const head = dotted === null ? text : `${dotted[1]}${hex16(tail[0], tail[1])}:${hex16(tail[2], tail[3])}`;
  const [left = "", right] = head.split("::") as [string?, string?];
  const groups = (part: string) => (part === "" ? [] : part.split(":"));
  const before = groups(left);
  const after = right === undefined ? [] : groups(right);
  const all = [...before, ...Array<string>(8 - before.length - after.length).fill("0"), ...after];
  return Uint8Array.from(
    all.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]),
  ) as Address;
}

function hex16(high = 0, low = 0): string {
  return ((high << 8) | low).toString(16);
}
