/**
 * Does a record fit where it came from? Pure: the record and what the operator of this cluster lets its peer claim.
 *
 * A refused record is dropped whole, counted by reason, and still enters the reader's digest.
 */
import { identityCluster, isIdentityOf } from "@isthmus/identity";
import { formatAddress, isV4, type Prefix, prefixContains, prefixesOverlap, printable } from "@isthmus/model";
import { Endpoint, Identity, Kind, Node, Service, Slice } from "@isthmus/proto";
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
import type { HashedRecord, PeerLimits, RefusalReason, Verdict } from "./types.js";

/** Above this a value is refused. */
export const MAX_VALUE_BYTES = BOUNDS.value;

const OK: Verdict = { ok: true };

export function validateRecord(record: HashedRecord, limits: PeerLimits): Verdict {
  const refuse = (reason: RefusalReason, what: string): Verdict => ({ ok: false, reason, what });
  const refusal = record.refused ?? refusalUndecoded(record);
  if (refusal !== undefined) return refuse(refusal.reason, refusal.what);
  const key = parseKey(record.key);
  if (key === undefined || key.kind !== record.kind) return refuse("malformed-key", "its key cannot be read");
  try {
    const finding = check(key, record.value, limits);
    return finding === undefined ? OK : refuse(...finding);
  } catch {
    return refuse("malformed-value", UNREADABLE);
  }
}

export function refusalSentence(key: string, cluster: string, what: string): string {
  return `Cannot use record "${printable(key)}" of cluster "${cluster}": ${what}`;
}

/** The addresses by which a record claims to be reached: what only one cluster may own. */
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
      return bounded(identityBounds(Identity.decode(value))) ?? ownIdentity(key.identity, limits);
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
      return bounded(serviceBounds(service)) ?? first(service.frontends, (address) => outsideOthers(address, limits));
    }
    case Kind.KIND_SLICE: {
      const slice = Slice.decode(value);
      return bounded(sliceBounds(slice)) ?? first(slice.backends, ({ address }) => podAddress(address, limits));
    }
    default:
      return ["malformed-key", "its kind never leaves a cluster"];
  }
}

function bounded(found: OutOfBounds): Finding {
  return found === undefined ? undefined : ["out-of-bounds", found];
}

function checkNode(name: string, node: Node, limits: PeerLimits): Finding {
  if (node.name !== name) return ["key-mismatch", `its value names node "${printable(node.name)}"`];
  const wide = node.podCidrs.find(
    (cidr) =>
      cidr.address.length !== 16 ||
      !limits.podCidrs.some((own) => own.length <= cidr.length && prefixContains(own, cidr.address)),
  );
  if (wide !== undefined) {
    return ["address-outside-cidr", `pod CIDR ${formatBytes(wide.address)} is outside what the peer may claim`];
  }
  const others = [node.tunnel, node.health].filter((address) => address.length > 0);
  return first([...node.addresses, ...others], (address) => outsideOthers(address, limits));
}

function checkEndpoint(address: Uint8Array, endpoint: Endpoint, limits: PeerLimits): Finding {
  if (!sameBytes(endpoint.address, address)) {
    return ["key-mismatch", `its value names address ${formatBytes(endpoint.address)}`];
  }
  return podAddress(address, limits) ?? ownIdentity(endpoint.identity, limits);
}

function ownIdentity(identity: number, limits: PeerLimits): Finding {
  if (isIdentityOf(identity, limits.id)) return undefined;
  return ["foreign-identity", `identity ${identity} has cluster ${identityCluster(identity)}, not ${limits.id}`];
}

/** An address of a pod: well-formed, of no other member, inside the peer's pod CIDRs. */
function podAddress(address: Uint8Array, limits: PeerLimits): Finding {
  const inside = address.length === 16 && limits.podCidrs.some((cidr) => prefixContains(cidr, address));
  const finding = outside(address, inside ? contested(limits) : limits.foreign);
  if (finding !== undefined || inside) return finding;
  return ["address-outside-cidr", `address ${formatBytes(address)} is outside its pod CIDRs`];
}

function outsideOthers(address: Uint8Array, limits: PeerLimits): Finding {
  return outside(address, limits.foreign);
}

function outside(address: Uint8Array, foreign: readonly Prefix[]): Finding {
  if (address.length !== 16) return ["malformed-value", `an address has ${address.length} bytes`];
  if (isForbidden(address)) return ["address-forbidden", `address ${formatBytes(address)} is no one's to claim`];
  if (!foreign.some((prefix) => prefixContains(prefix, address))) return undefined;
  return ["address-of-another-member", `address ${formatBytes(address)} belongs to another member`];
}

const known = new WeakMap<PeerLimits, readonly Prefix[]>();

/** The foreign ranges that overlap the peer's own: nearly always none of hundreds. */
function contested(limits: PeerLimits): readonly Prefix[] {
  const found =
    known.get(limits) ??
    limits.foreign.filter((prefix) => limits.podCidrs.some((cidr) => prefixesOverlap(cidr, prefix)));
  known.set(limits, found);
  return found;
}

/** Unspecified, loopback, link-local, multicast, broadcast: in either family. */
export function isForbidden(address: Uint8Array): boolean {
  const a = address[12] ?? 0;
  if (isV4(address)) {
    return a === 0 || a === 127 || a >= 224 || (a === 169 && address[13] === 254);
  }
  const high = address[0] ?? 0;
  const linkLocal = high === 0xfe && ((address[1] ?? 0) & 0xc0) === 0x80;
  const zeroes = address.subarray(0, 12).every((byte) => byte === 0); // ::, ::1, the old v4-compatible range
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
