/**
 * Checks that a record claims only what the operator of this cluster allows its peer to claim. Pure.
 *
 * A refused record is dropped as a whole and counted by reason, but still counts in the reader's digest.
 */
import { identityCluster, isIdentityOf } from "@isthmus/identity";
import { formatAddress, isV4, type Prefix, prefixContains, prefixesOverlap, printable } from "@isthmus/model";
import { Endpoint, Identity, Kind, Node, RefusalReason, Service, Slice } from "@isthmus/proto";
import { BOUNDS, type OutOfBounds } from "./bounds.js";
import { sameBytes } from "./hash.js";
import { type ParsedKey, parseKey } from "./keys.js";
import {
  endpointBounds,
  identityBounds,
  nodeBounds,
  refusalUndecoded,
  serviceBounds,
  sliceBounds,
  UNREADABLE,
} from "./record-bounds.js";
import type { HashedRecord, PeerLimits, Verdict } from "./types.js";

/** A longer value is refused. */
export const MAX_VALUE_BYTES = BOUNDS.value;

const OK: Verdict = { ok: true };

/** Not ok with the first reason that applies. Never throws. */
export function validateRecord(record: HashedRecord, limits: PeerLimits): Verdict {
  const refuse = (reason: RefusalReason, what: string): Verdict => ({ ok: false, reason, detail: what });
  const refusal = record.refused ?? refusalUndecoded(record);
  if (refusal !== undefined) return refuse(refusal.reason, refusal.detail);
  const key = parseKey(record.key);
  if (key === undefined || key.kind !== record.kind)
    return refuse(RefusalReason.REFUSAL_REASON_MALFORMED_KEY, "its key cannot be read");
  try {
    const finding = check(key, record.value, limits);
    return finding === undefined ? OK : refuse(...finding);
  } catch {
    return refuse(RefusalReason.REFUSAL_REASON_MALFORMED_VALUE, UNREADABLE);
  }
}

/** `what`: the `detail` of the refusal. The key, which is the peer's, is made printable. */
export function refusalSentence(key: string, cluster: string, what: string): string {
  return `Cannot use record "${printable(key)}" of cluster "${cluster}": ${what}`;
}

/** The addresses that a record claims for its cluster; only one cluster may own each. */
export function claimedAddresses(record: HashedRecord): readonly Uint8Array[] {
  switch (record.kind) {
    case Kind.KIND_NODE:
      return Node.decode(record.value).addresses;
    case Kind.KIND_ENDPOINT:
      return [Endpoint.decode(record.value).address];
    default:
      return [];
  }
}

type Finding = readonly [RefusalReason, string] | undefined;

function check(key: ParsedKey, value: Uint8Array, limits: PeerLimits): Finding {
  switch (key.kind) {
    case Kind.KIND_IDENTITY:
      return bounded(identityBounds(Identity.decode(value))) ?? checkIdentity(key.identity, limits);
    case Kind.KIND_NODE: {
      const node = Node.decode(value);
      return bounded(nodeBounds(node)) ?? checkNode(key.node, node, limits);
    }
    case Kind.KIND_ENDPOINT: {
      const endpoint = Endpoint.decode(value);
      return bounded(endpointBounds(endpoint)) ?? checkEndpoint(key.address, endpoint, limits);
    }
    case Kind.KIND_SERVICE: {
      const service = Service.decode(value);
      return bounded(serviceBounds(service)) ?? first(service.frontends, (address) => checkUnclaimed(address, limits));
    }
    case Kind.KIND_SLICE: {
      const slice = Slice.decode(value);
      return bounded(sliceBounds(slice)) ?? first(slice.backends, ({ address }) => checkPodAddress(address, limits));
    }
    default:
      return [RefusalReason.REFUSAL_REASON_MALFORMED_KEY, "records of its kind are not exported"];
  }
}

function bounded(found: OutOfBounds): Finding {
  return found === undefined ? undefined : [RefusalReason.REFUSAL_REASON_OUT_OF_BOUNDS, found];
}

function checkNode(name: string, node: Node, limits: PeerLimits): Finding {
  if (node.name !== name)
    return [RefusalReason.REFUSAL_REASON_KEY_MISMATCH, `its value names node "${printable(node.name)}"`];
  const wide = node.podCidrs.find(
    (cidr) =>
      cidr.address.length !== 16 ||
      !limits.podCidrs.some((own) => own.length <= cidr.length && prefixContains(own, cidr.address)),
  );
  if (wide !== undefined) {
    return [
      RefusalReason.REFUSAL_REASON_ADDRESS_OUTSIDE_CIDR,
      `pod CIDR ${formatBytes(wide.address)} is outside what the peer may claim`,
    ];
  }
  const others = [node.tunnel, node.health].filter((address) => address.length > 0);
  return first([...node.addresses, ...others], (address) => checkUnclaimed(address, limits));
}

function checkEndpoint(address: Uint8Array, endpoint: Endpoint, limits: PeerLimits): Finding {
  if (!sameBytes(endpoint.address, address)) {
    return [RefusalReason.REFUSAL_REASON_KEY_MISMATCH, `its value names address ${formatBytes(endpoint.address)}`];
  }
  return checkPodAddress(address, limits) ?? checkIdentity(endpoint.identity, limits);
}

function checkIdentity(identity: number, limits: PeerLimits): Finding {
  if (isIdentityOf(identity, limits.id)) return undefined;
  return [
    RefusalReason.REFUSAL_REASON_IDENTITY_OF_ANOTHER_CLUSTER,
    `identity ${identity} has cluster ${identityCluster(identity)}, not ${limits.id}`,
  ];
}

/** Checks the address of a pod: well-formed, not in another cluster's ranges, inside the peer's pod CIDRs. */
function checkPodAddress(address: Uint8Array, limits: PeerLimits): Finding {
  const inside = address.length === 16 && limits.podCidrs.some((cidr) => prefixContains(cidr, address));
  const finding = checkAddress(address, inside ? overlappingRanges(limits) : limits.excludedCidrs);
  if (finding !== undefined || inside) return finding;
  return [
    RefusalReason.REFUSAL_REASON_ADDRESS_OUTSIDE_CIDR,
    `address ${formatBytes(address)} is outside its pod CIDRs`,
  ];
}

function checkUnclaimed(address: Uint8Array, limits: PeerLimits): Finding {
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

function first<T>(values: readonly T[], look: (value: T) => Finding): Finding {
  for (const value of values) {
    const finding = look(value);
    if (finding !== undefined) return finding;
  }
  return undefined;
}

function formatBytes(address: Uint8Array): string {
  return address.length === 16
    ? formatAddress(address)
    : printable(Buffer.from(address.subarray(0, 64)).toString("hex"));
}
