/**
 * Address ranges of policies: a prefix without the prefixes that are excepted.
 *
 * The other ends of a pod's flows are known by identity only. So each prefix and each exception has an identity of its own, an
 * address has that of the longest prefix that contains it, and a block selects the identities of all prefixes inside of it that
 * are inside of none of its exceptions.
 */
import { bytesKey, formatPrefix, isV4, type Prefix, prefixContains, prefixMask } from "@isthmus/model";

export interface AddressBlock {
  /** The same text for the same block. */
  readonly text: string;
  /** All of its addresses but those of `except`. */
  readonly cidr: Prefix;
  /** Inside of `cidr`; sorted, none twice. */
  readonly except: readonly Prefix[];
}

/** The block of a prefix and its exceptions, in any order. */
export function createBlock(cidr: Prefix, except: readonly Prefix[]): AddressBlock {
  const sorted = new Map(except.map((one) => [formatPrefix(one), one]));
  const texts = [...sorted.keys()].sort();
  const text = [formatPrefix(cidr), ...texts].join(" except ");
  return { text, cidr, except: texts.flatMap((one) => sorted.get(one) ?? []) };
}

/** True when all addresses of `prefix` are in the block, but for those of longer prefixes that have an identity of their own. */
export function blockSelects(block: AddressBlock, prefix: Prefix): boolean {
  return containsPrefix(block.cidr, prefix) && !block.except.some((one) => containsPrefix(one, prefix));
}

/** True when `outer` contains all of `inner`. No IPv6 range contains IPv4 addresses, although they are 16 bytes alike. */
export function containsPrefix(outer: Prefix, inner: Prefix): boolean {
  return (
    outer.length <= inner.length && isV4Prefix(outer) === isV4Prefix(inner) && prefixContains(outer, inner.address)
  );
}

/** True for a range of IPv4 addresses. */
export function isV4Prefix(prefix: Prefix): boolean {
  return prefix.length >= 96 && isV4(prefix.address);
}

/** Equal exactly for addresses whose first `length` bits are. */
export function maskedKey(address: Uint8Array, length: number): string {
  const mask = MASKS[length] ?? prefixMask(length);
  return bytesKey(address.map((byte, i) => byte & (mask[i] ?? 0)));
}

const MASKS = Array.from({ length: 129 }, (_, length) => prefixMask(length));
