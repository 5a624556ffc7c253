/**
 * What of a node the other clusters get (pure): addresses that can be somebody's, and pod ranges inside this cluster's.
 *
 * Readers refuse a Node record whole for one that its cluster may not claim (records/validate), rightly; so a link-local
 * address, or a range of a family that mesh-config does not name, must not take the node's routes along.
 */
import { type Prefix, prefixContains } from "@isthmus/model";
import { isForbidden } from "@isthmus/records";
import type { NodeFacts } from "./node-facts.js";

/** `podCidrs` undefined: not known yet, and nothing is published either. The very facts when nothing is left out. */
export function exportedNode(facts: NodeFacts, podCidrs: readonly Prefix[] | undefined): NodeFacts {
  const inside = ({ address, length }: Prefix) =>
    podCidrs?.some((range) => range.length <= length && prefixContains(range, address)) ?? true;
  const addresses = facts.addresses.filter((address) => !isForbidden(address));
  const ranges = facts.podCidrs.filter(inside);
  const whole = addresses.length === facts.addresses.length && ranges.length === facts.podCidrs.length;
  return whole ? facts : { ...facts, addresses, podCidrs: ranges };
}
