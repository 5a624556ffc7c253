/**
 * Chooses the address of a new pod: the next free one after the last that was assigned (next fit), so that a freed
 * address is reused only after all others.
 *
 * IPv4. The first and the last address of a CIDR with more than two are never assigned. The node's health address is the
 * highest free one: next fit reaches it last, also in an agent that does not know of it. Pure.
 */
import { type Address, isV4, type Prefix, parseAddress } from "@isthmus/model";

/** Undefined when all are used. `after` may be outside the CIDR. */
export function nextAddress(cidr: Prefix, used: ReadonlySet<number>, after: number): number | undefined {
  const { first, count } = usableRange(cidr);
  const start = after >= first && after < first + count ? after - first + 1 : 0;
  for (let i = 0; i < count; i++) {
    const candidate = first + ((start + i) % count);
    if (!used.has(candidate)) return candidate;
  }
  return undefined;
}

/**
 * An address for the node's health, which no pod gets. Undefined when all are used, or when the CIDR has no more than two
 * addresses, which are left to pods.
 */
export function nextHealthAddress(cidr: Prefix, used: ReadonlySet<number>): number | undefined {
  const { first, count } = usableRange(cidr);
  if (count <= KEPT_FOR_PODS) return undefined;
  for (let candidate = first + count - 1; candidate >= first; candidate--) {
    if (!used.has(candidate)) return candidate;
  }
  return undefined;
}

const KEPT_FOR_PODS = 2;

/** How many addresses a CIDR has, that of the node's health included. */
export function poolSize(cidr: Prefix): number {
  return usableRange(cidr).count;
}

/** The CIDR that pods of this node get addresses from: the first one of IPv4. */
export function podCidrOf(cidrs: readonly Prefix[]): Prefix | undefined {
  return cidrs.find((cidr) => isV4(cidr.address) && cidr.length >= 96);
}

/** The IPv4 address as an unsigned number of 32 bits. */
export function toNumber(address: Address): number {
  return Buffer.from(address).readUInt32BE(12);
}

/** The v4-mapped address of what `toNumber` returned. */
export function fromNumber(value: number): Address {
  return parseAddress([value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255].join("."));
}

function usableRange(cidr: Prefix): { readonly first: number; readonly count: number } {
  const size = 2 ** (128 - cidr.length);
  const base = toNumber(cidr.address);
  return size <= 2 ? { first: base, count: size } : { first: base + 1, count: size - 2 };
}
