/**
 * Selects the part of a node that is exported (pure): addresses that a cluster may claim, and pod ranges inside this cluster's.
 *
 * Readers refuse a whole Node record because of one address or range that its cluster may not claim (records/validate). Leaving
 * out a link-local address, or a range of a family that mesh-config does not name, keeps the node's routes.
 */
import { type Prefix, prefixContains } from "@isthmus/model";
import { isForbidden } from "@isthmus/records";
import type { NodeFacts } from "./node-facts.js";

/** `podCidrs` undefined: not known yet, so nothing is published. Returns `facts` itself when nothing is left out. */
export function exportedNode(facts: NodeFacts, podCidrs: readonly Prefix[] | undefined): NodeFacts {
  const inside = ({ address, length }: Prefix) =>
    podCidrs?.some((range) => range.length <= length && prefixContains(range, address)) ?? true;
  const addresses = facts.addresses.filter((address) => !isForbidden(address));
  const ranges = facts.podCidrs.filter(inside);
  const whole = addresses.length === facts.addresses.length && ranges.length === facts.podCidrs.length;
  return whole ? facts : { ...facts, addresses, podCidrs: ranges };
}
