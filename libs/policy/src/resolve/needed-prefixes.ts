/** The prefixes that policies tell apart: each needs an identity of its own on the node. */
import { formatPrefix, type Prefix, parsePrefix, prefixContains } from "@isthmus/model";
import { isV4Prefix } from "../model/address-block.js";
import type { Policy } from "../model/policy.js";

export interface NeededPrefixes {
  /** Text to prefix. Live. */
  readonly prefixes: ReadonlyMap<string, Prefix>;
  /** One `delete` for each `add`. */
  add(policy: Policy): void;
  /** The same policy as was added. */
  delete(policy: Policy): void;
}

const ALL_V4 = parsePrefix("0.0.0.0/0");

/** Needs none before a policy is added. */
export function createNeededPrefixes(): NeededPrefixes {
  const prefixes = new Map<string, Prefix>();
  const uses = new Map<string, number>();

  function count(policy: Policy, change: 1 | -1): void {
    for (const prefix of policyPrefixes(policy)) {
      const text = formatPrefix(prefix);
      const now = (uses.get(text) ?? 0) + change;
      uses.set(text, now);
      prefixes.set(text, prefix);
      if (now > 0) continue;
      uses.delete(text);
      prefixes.delete(text);
    }
  }

  return { prefixes, add: (policy) => count(policy, 1), delete: (policy) => count(policy, -1) };
}

/**
 * Those of all its blocks, perhaps more than once. The maps have IPv4 addresses in the form of IPv6, so beside a range of IPv6 that contains that form there
 * must be that of all IPv4 addresses: else they would have the identity of the range, and no block of IPv6 means them.
 */
export function policyPrefixes(policy: Policy): readonly Prefix[] {
  const peers = policy.specs.flatMap((spec) => spec.rules).flatMap((rule) => (rule.peers === "all" ? [] : rule.peers));
  const written = peers.flatMap((peer) => (peer.kind === "block" ? [peer.block.cidr, ...peer.block.except] : []));
  return written.flatMap((prefix) => {
    const hidesV4 = !isV4Prefix(prefix) && prefixContains(prefix, ALL_V4.address);
    return hidesV4 ? [prefix, ALL_V4] : [prefix];
  });
}
