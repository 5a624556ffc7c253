/**
 * A Node's facts → its records, and the part of it that is exported (pure).
 *
 * Readers refuse a whole Node record because of one address or range that its cluster may not claim (records/validate). Leaving
 * out a link-local address, or a range of a family that mesh-config does not name, keeps the node's routes.
 */
import { type Prefix, prefixContains } from "@isthmus/model";
import { type HashedRecord, isForbidden, NODE_CONFIG_KIND, NODE_KIND, nodeConfigKey, nodeKey } from "@isthmus/records";
import { isPodAddress, type NodeFacts } from "./node-facts.js";

/**
 * Addresses that a cluster may claim, pod ranges inside this cluster's, and a health address in one of those. `podCidrs` undefined: not known yet, so nothing is
 * published. Returns `facts` itself when nothing is left out.
 */
export function exportedNode(facts: NodeFacts, podCidrs: readonly Prefix[] | undefined): NodeFacts {
  const inside = ({ address, length }: Prefix) =>
    podCidrs?.some((range) => range.length <= length && prefixContains(range, address)) ?? true;
  const addresses = facts.addresses.filter((address) => !isForbidden(address));
  const ranges = facts.podCidrs.filter(inside);
  const claimable = facts.health !== undefined && isPodAddress(ranges, facts.health) && !isForbidden(facts.health);
  const health = claimable ? facts.health : undefined;
  const whole =
    addresses.length === facts.addresses.length && ranges.length === facts.podCidrs.length && health === facts.health;
  return whole ? facts : { ...facts, addresses, podCidrs: ranges, health };
}

/** The NODE record with all addresses and ranges of `facts`; `tunnel` is empty, and `health` without a health address. */
export function nodeRecord(facts: NodeFacts): HashedRecord {
  return NODE_KIND.record(nodeKey(facts.name), {
    name: facts.name,
    addresses: facts.addresses.map((address) => Buffer.from(address)),
    podCidrs: facts.podCidrs.map(wirePrefix),
    tunnel: Buffer.alloc(0),
    health: Buffer.from(facts.health ?? []),
    zone: facts.zone,
    region: facts.region,
    conditions: facts.conditions,
  });
}

/** The configuration of a node; sent to that node alone. */
export function nodeConfigRecord(facts: NodeFacts, serviceCidrs: readonly Prefix[]): HashedRecord {
  return NODE_CONFIG_KIND.record(nodeConfigKey(facts.name), {
    name: facts.name,
    podCidrs: facts.podCidrs.map(wirePrefix),
    addresses: facts.addresses.map((address) => Buffer.from(address)),
    serviceCidrs: serviceCidrs.map(wirePrefix),
  });
}

/** The range as messages have it: a copy of its 16 bytes, and the length out of 128. */
export function wirePrefix(prefix: Prefix): { address: Buffer; length: number } {
  return { address: Buffer.from(prefix.address), length: prefix.length };
}
