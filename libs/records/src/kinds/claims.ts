/** Checks of what a peer claims, shared by the kinds: addresses and identities within what its operator allows. Pure. */
import { identityCluster, isIdentityOf } from "@isthmus/identity";
import { formatAddress, isV4, type Prefix, prefixContains, prefixesOverlap, printable } from "@isthmus/model";
import { RefusalReason } from "@isthmus/proto";
import type { PeerLimits } from "../types.js";
import type { Finding } from "./record-kind.js";

/** The identity must be one of the peer's. */
export function checkIdentity(identity: number, limits: PeerLimits): Finding {
  if (isIdentityOf(identity, limits.id)) return undefined;
  return [
    RefusalReason.REFUSAL_REASON_IDENTITY_OF_ANOTHER_CLUSTER,
    `identity ${identity} has cluster ${identityCluster(identity)}, not ${limits.id}`,
  ];
}

/** Checks the address of a pod: well-formed, not in another cluster's ranges, inside the peer's pod CIDRs. */
export function checkPodAddress(address: Uint8Array, limits: PeerLimits): Finding {
  const inside = address.length === 16 && limits.podCidrs.some((cidr) => prefixContains(cidr, address));
  const finding = checkAddress(address, inside ? overlappingRanges(limits) : limits.excludedCidrs);
  if (finding !== undefined || inside) return finding;
  return [
    RefusalReason.REFUSAL_REASON_ADDRESS_OUTSIDE_CIDR,
    `address ${formatBytes(address)} is outside its pod CIDRs`,
  ];
}

/** Checks any other address: well-formed, not in another cluster's ranges. */
export function checkUnclaimed(address: Uint8Array, limits: PeerLimits): Finding {
  return checkAddress(address, limits.excludedCidrs);
}

function checkAddress(address: Uint8Array, foreign: readonly Prefix[]): Finding {
  if (address.length !== 16)
    return [RefusalReason.REFUSAL_REASON_MALFORMED_VALUE, `an address has ${address.length} bytes`];
  if (isForbidden(address))
    return [
      RefusalReason.REFUSAL_REASON_ADDRESS_FORBIDDEN,
      `address ${formatBytes(address)} is reserved: no cluster may claim it`,
    ];
  if (!foreign.some((prefix) => prefixContains(prefix, address))) return undefined;
  return [
    RefusalReason.REFUSAL_REASON_ADDRESS_OF_ANOTHER_CLUSTER,
    `address ${formatBytes(address)} belongs to another cluster`,
  ];
}

const overlapping = new WeakMap<PeerLimits, readonly Prefix[]>();

/** The ranges of `foreign` that overlap the peer's pod CIDRs: nearly always none of hundreds. */
function overlappingRanges(limits: PeerLimits): readonly Prefix[] {
  const ranges =
    overlapping.get(limits) ??
    limits.excludedCidrs.filter((prefix) => limits.podCidrs.some((cidr) => prefixesOverlap(cidr, prefix)));
  overlapping.set(limits, ranges);
  return ranges;
}

/** True for unspecified, loopback, link-local, multicast and broadcast addresses of either family. */
export function isForbidden(address: Uint8Array): boolean {
  const a = address[12] ?? 0;
  if (isV4(address)) {
    return a === 0 || a === 127 || a >= 224 || (a === 169 && address[13] === 254);
  }
  const high = address[0] ?? 0;
  const linkLocal = high === 0xfe && ((address[1] ?? 0) & 0xc0) === 0x80;
  const zeroes = address.subarray(0, 12).every((byte) => byte === 0); // ::, ::1 and the deprecated IPv4-compatible range
  return high === 0xff || linkLocal || zeroes;
}

/** The first finding of the values. */
export function firstFinding<T>(values: readonly T[], look: (value: T) => Finding): Finding {
  for (const value of values) {
    const finding = look(value);
    if (finding !== undefined) return finding;
  }
  return undefined;
}

/** Text of an address; of bytes that are none, their first ones in hex. */
export function formatBytes(address: Uint8Array): string {
  return address.length === 16
    ? formatAddress(address)
    : printable(Buffer.from(address.subarray(0, 64)).toString("hex"));
}
