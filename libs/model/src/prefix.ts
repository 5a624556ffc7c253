/** CIDR prefixes over 16-byte addresses. */
import { type Address, formatAddress, isV4, parseAddress } from "./address.js";
import { MeshError } from "./errors.js";

/** `address` has no bit set beyond `length`; `length` counts from the start of the 16 bytes (an IPv4 /24 is 120). */
export interface Prefix {
  /** 16 bytes, IPv4 as v4-mapped. */
  readonly address: Address;
  /** 0 to 128; 96 more than written for IPv4. */
  readonly length: number;
}

/** Parses `10.11.0.0/16` or `fd00::/48`. Throws `PREFIX` on bad text or on host bits that are set. */
export function parsePrefix(text: string): Prefix {
  const match = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(text);
  if (match === null) throw new MeshError({ code: "PREFIX", value: text }, `Cannot read "${text}" as a CIDR`);
  const address = parseAddress(match[1] ?? "");
  const v4 = isV4(address) && !(match[1] ?? "").includes(":");
  const length = Number(match[2]) + (v4 ? 96 : 0);
  if (length > 128)
    throw new MeshError({ code: "PREFIX", value: text }, `Cannot read "${text}" as a CIDR: prefix length is too long`);
  if (!sameBits(address, masked(address, length), 128)) {
    throw new MeshError(
      { code: "PREFIX", value: text },
      `Cannot use CIDR "${text}": bits beyond the prefix length are set`,
    );
  }
  return { address, length };
}

/** The text that `parsePrefix` reads: an IPv4 prefix with the length of IPv4. */
export function formatPrefix(prefix: Prefix): string {
  const v4 = isV4(prefix.address) && prefix.length >= 96;
  return `${formatAddress(prefix.address)}/${v4 ? prefix.length - 96 : prefix.length}`;
}

/** `address` has 16 bytes, IPv4 as v4-mapped. */
export function prefixContains(prefix: Prefix, address: Uint8Array): boolean {
  return sameBits(prefix.address, address, prefix.length);
}

/** True when one of the two contains the other. */
export function prefixesOverlap(a: Prefix, b: Prefix): boolean {
  return sameBits(a.address, b.address, Math.min(a.length, b.length));
}

/** 16 bytes with the first `length` bits set. */
export function prefixMask(length: number): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, i) => 0xff << (8 - Math.max(0, Math.min(8, length - 8 * i))));
}

function masked(address: Uint8Array, length: number): Uint8Array {
  const mask = prefixMask(length);
  return address.map((byte, i) => byte & (mask[i] ?? 0));
}

function sameBits(a: Uint8Array, b: Uint8Array, length: number): boolean {
  const whole = length >> 3;
  for (let i = 0; i < whole; i++) if (a[i] !== b[i]) return false;
  const rest = length & 7;
  return rest === 0 || ((a[whole] ?? 0) ^ (b[whole] ?? 0)) >> (8 - rest) === 0;
}
