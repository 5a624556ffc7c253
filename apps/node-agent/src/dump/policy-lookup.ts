/**
 * The entries by which the programs decide whether a packet may begin a flow of a pod, looked up as bpf/lib/policy.h does it:
 *
 * ```
 *   address of the pod ─► its row: set ─────────────────┐
 *   address of the other end ─► row, else prefix: identity ─► what the set says of it ─► all ports, or a class ─► port
 * ```
 * It reads a handful of entries and writes nothing.
 */
import {
  EndpointKey,
  EndpointRow,
  IpcacheFlag,
  IpcacheKey,
  IpcachePrefixKey,
  IpcacheRow,
  KnownIdentity,
  keyCheck,
  type PacketPath,
  PeerVerdict,
  PodPolicyWord,
  PolicyPeerKey,
  PolicyPeerRow,
  type PolicyPort,
  PolicyPortKey,
  PolicyPortRow,
  PolicySetRow,
} from "@isthmus/bpf";
import { formatPrefix, isV4Multicast, type Prefix, prefixMask } from "@isthmus/model";
import { type Direction, parsePolicyKey } from "@isthmus/policy";
import {
  type AddressEntry,
  EventIdentity,
  type PeerEntry,
  PolicyDirection,
  PolicyEntries,
  type PolicyQuery,
  type PolicyRule,
  type PortEntry,
} from "@isthmus/proto";
import type { HashPort } from "@isthmus/reconcile";
import type { PolicyNames } from "../events/policy-names.js";

export interface PolicyLookupModules {
  /** The maps of mode `packets`. */
  readonly packets: Pick<PacketPath, "endpointIndex" | "endpoints"> & { readonly policy: PolicyReadPort };
  /** What numbers of identities and rules stand for. */
  readonly names: Pick<PolicyNames, "identity" | "rules">;
}

type PolicyReadPort = { readonly [Name in Exclude<keyof PolicyPort, "sets">]: Pick<HashPort, "get"> } & Pick<
  PolicyPort,
  "sets"
>;

/** The entries for a flow, or why there are none. */
export type PolicyLookup = (query: PolicyQuery) => PolicyEntries | { readonly problem: string };

const DIRECTIONS: ReadonlyMap<PolicyDirection, Direction> = new Map([
  [PolicyDirection.POLICY_DIRECTION_INGRESS, "ingress"],
  [PolicyDirection.POLICY_DIRECTION_EGRESS, "egress"],
]);
/** Rules that share a number: two, hardly ever. */
const MAX_RULES = 4;
const ADDRESS_BITS = 128;
/** Bits before the address in a key of mesh_ipcache_prefixes. */
const SPACE_BITS = 32;
/** Bits of the class in a key of mesh_policy_ports, of what stands before the port, and of all. */
const CLASS_BITS = 32;
const PORT_AT = 48;
const PORT_KEY_BITS = 64;

/** Reads nothing before a query. */
export function createPolicyLookup({ packets, names }: PolicyLookupModules): PolicyLookup {
  const { endpointIndex, endpoints, policy } = packets;

  function endpointAt(address: Uint8Array): (EndpointRow & { readonly index: number }) | undefined {
    const found = endpointIndex.get(EndpointKey.encode({ addr: address }));
    if (found === undefined) return undefined;
    const index = new DataView(found.buffer, found.byteOffset).getUint32(0, true);
    const row = EndpointRow.decode(endpoints.read(index));
    return row.id === index && Buffer.compare(row.addr, address) === 0 ? { ...row, index } : undefined;
  }

  /** As identity_of(), and what policy_allows() makes of a multicast address. */
  function addressEntry(address: Uint8Array, direction: Direction): AddressEntry {
    if (direction === "egress" && isV4Multicast(address))
      return { identity: KnownIdentity.Host, exact: false, prefix: "", exactOnly: false };
    const key = IpcacheKey.encode({ addr: address, space: 0 });
    const own = policy.addresses.get(key);
    const row = own && IpcacheRow.decode(own);
    if (row !== undefined && row.identity !== KnownIdentity.None && row.check === keyCheck(key))
      return { identity: row.identity, exact: true, prefix: "", exactOnly: false };
    const found = longest(
      policy.prefixes,
      (bits) => IpcachePrefixKey.encode({ length: SPACE_BITS + bits, space: 0, addr: masked(address, bits) }),
      [0, ADDRESS_BITS],
    );
    if (found === undefined) return { identity: KnownIdentity.World, exact: false, prefix: "", exactOnly: false };
    const { identity, flags } = IpcacheRow.decode(found.value);
    const prefix = formatPrefix({ address: masked(address, found.bits), length: found.bits });
    return { identity, exact: false, prefix, exactOnly: (flags & IpcacheFlag.Exact) !== 0 };
  }

  function peerEntry(set: number, identity: number, direction: Direction): PeerEntry {
    const own = policy.peers.get(PolicyPeerKey.encode({ set, identity }));
    const peer = own && PolicyPeerRow.decode(own);
    const untrusted =
      peer === undefined ? set >= policy.sets.maxEntries : peer.set !== set || peer.identity !== identity;
    if (untrusted) return { ownRow: own !== undefined, untrusted, allPorts: false, allow: false, number: 0 };
    const row = peer ?? PolicySetRow.decode(policy.sets.read(set));
    const { allPorts, allow, number } = PeerVerdict.fromWord(direction === "egress" ? row.out : row.in);
    const isOfAll = allPorts !== 0;
    return { ownRow: own !== undefined, untrusted, allPorts: isOfAll, allow: isOfAll && allow !== 0, number };
  }

  /** As class_allows(). */
  function portEntry(number: number, { protocol, port }: PolicyQuery): PortEntry {
    const found = longest(
      policy.ports,
      (length) => PolicyPortKey.encode({ length, class: number, proto: protocol, port }),
      [CLASS_BITS, PORT_KEY_BITS],
    );
    const row = found && PolicyPortRow.decode(found.value);
    if (found === undefined || row === undefined || row.class !== number)
      return { found: false, protocol: 0, first: 0, last: 0, allow: false, rule: 0 };
    const isOfAll = found.bits < PORT_AT;
    const size = 2 ** (PORT_KEY_BITS - Math.max(found.bits, PORT_AT));
    const first = port - (port % size);
    return {
      ...{ found: true, protocol: isOfAll ? 0 : protocol, first, last: first + size - 1 },
      ...{ allow: row.allow !== 0, rule: row.rule },
    };
  }

  function rulesOf(number: number, direction: Direction): PolicyRule[] {
    if (number === 0) return [];
    const rules = names.rules(number).filter((rule) => rule.direction === direction);
    return rules.slice(0, MAX_RULES).map(({ policy: name, path }) => ({ policy: parsePolicyKey(name), path }));
  }

  function named(number: number): EventIdentity | undefined {
    const identity = names.identity(number);
    if (identity === undefined) return undefined;
    const { labels, moreLabels, prefix } = identity;
    return EventIdentity.fromPartial({ number, labels, moreLabels, prefix });
  }

  return (query) => {
    const direction = DIRECTIONS.get(query.direction);
    if (direction === undefined || query.pod.length !== 16 || query.other.length !== 16)
      return { problem: "the agent takes two addresses of 16 bytes and a direction" };
    const endpoint = endpointAt(query.pod);
    if (endpoint === undefined) return PolicyEntries.create();
    const { set, audit, revision } = PodPolicyWord.fromWord(endpoint.policy);
    const other = addressEntry(query.other, direction);
    const entries = {
      ...{ endpoint: endpoint.index, identity: endpoint.identity, set, audited: audit !== 0, revision, other },
      ...{ otherIdentity: named(other.identity), peer: undefined, port: undefined, rules: [] },
    };
    const isOwnNode = other.identity === KnownIdentity.Host && direction === "ingress";
    if (set === 0 || isOwnNode) return { ...entries, allowed: true, rule: 0 };
    const peer = peerEntry(set, other.identity, direction);
    const port = peer.allPorts || peer.untrusted ? undefined : portEntry(peer.number, query);
    const rule = port?.rule ?? peer.number;
    return { ...entries, peer, port, allowed: port?.allow ?? peer.allow, rule, rules: rulesOf(rule, direction) };
  };
}

/**
 * The entry of the longest prefix that has the key of all bits. A trie tells no prefix, so that is found by shorter keys: the entries
 * of two prefixes, one inside of the other, that say the same are taken for one.
 */
function longest(
  trie: Pick<HashPort, "get">,
  keyOf: (bits: number) => Uint8Array,
  [least, most]: readonly [number, number],
): { readonly bits: number; readonly value: Uint8Array } | undefined {
  const value = trie.get(keyOf(most));
  if (value === undefined) return undefined;
  let bits = most;
  for (; bits > least; bits--) {
    const shorter = trie.get(keyOf(bits - 1));
    if (shorter === undefined || Buffer.compare(shorter, value) !== 0) break;
  }
  return { bits, value };
}

function masked(address: Uint8Array, bits: number): Prefix["address"] {
  const mask = prefixMask(bits);
  return address.map((byte, i) => byte & (mask[i] ?? 0)) as Prefix["address"];
}
