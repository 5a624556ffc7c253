/** What one policy may cost; the API server has no limit but the size of an object. */
import { CLUSTER_LABEL } from "@isthmus/identity";
import type { Peer, Policy, PolicyRule } from "../model/policy.js";
import type { Selector } from "../model/selector.js";
import type { Reader } from "./findings.js";

/** Rules of one policy. */
export const MAX_RULES = 1_000;
/** Peers, exceptions, ports and values of selectors of one policy. */
export const MAX_ITEMS = 10_000;

/** Services that one policy may name or select. */
export const MAX_SERVICES = 1_000;

/** Different `k8sServiceSelector`s of one policy: each is compared with every Service. */
export const MAX_SERVICE_SELECTORS = 100;

/** Different peers of one policy that no value of a label narrows, so that each may match all identities. */
export const MAX_WIDE_PEERS = 100;

/** A range of addresses that means no pods: the peer, and the value that says so. */
export const RANGE_ITEMS = 2;

/** What groups and Services that a policy names may add to it, counted while they are read: a short name may stand for many peers. */
export interface PeerBudget {
  /** False when there is no room for `count` more items: the first time with a finding about `path`. */
  take(reader: Reader, path: string, count: number): boolean;
}

/** Of one policy: MAX_ITEMS. */
export function createPeerBudget(): PeerBudget {
  let left = MAX_ITEMS;
  return {
    take(reader, path, count) {
      if (left < 0) return false;
      left -= count;
      if (left < 0)
        reader.refuse(
          path,
          `makes more than ${MAX_ITEMS} peers and values of the policy: split it into several policies`,
        );
      return left >= 0;
    },
  };
}

/** Refuses a policy that is too large. */
export function checkSize(reader: Reader, policy: Policy): void {
  const rules = policy.specs.flatMap((spec) => spec.rules);
  const items = policy.specs.reduce((sum, spec) => sum + selectorItems(spec.subject), 0) + sumOf(rules, ruleItems);
  if (rules.length > MAX_RULES)
    reader.refuse("spec", `has ${rules.length} rules, more than ${MAX_RULES}: split it into several policies`);
  else if (items > MAX_ITEMS)
    reader.refuse(
      "spec",
      `has ${items} peers, ports and values, more than ${MAX_ITEMS}: split it into several policies`,
    );
  const wide = new Set(rules.flatMap(({ peers }) => (peers === "all" ? [] : peers.flatMap(widePeer))));
  if (wide.size > MAX_WIDE_PEERS)
    reader.refuse(
      "spec",
      `has ${wide.size} peers without a value of any label, more than ${MAX_WIDE_PEERS}: select by matchLabels or In`,
    );
}

/** Its text, if all pods of a cluster may match. */
function widePeer(peer: Peer): readonly string[] {
  const { text, requirements } = peer.selector;
  const isNarrow = requirements.some(({ key, operator }) => operator === "In" && key !== CLUSTER_LABEL);
  return peer.kind === "block" || isNarrow ? [] : [text];
}

function ruleItems({ peers, ports }: PolicyRule): number {
  return 1 + (peers === "all" ? 0 : sumOf(peers, peerItems)) + (ports === "all" ? 0 : ports.length);
}

function peerItems(peer: Peer): number {
  return 1 + selectorItems(peer.selector) + (peer.kind === "block" ? peer.block.except.length : 0);
}

function selectorItems({ requirements }: Selector): number {
  return sumOf(requirements, (one) => ("values" in one ? one.values.length : 1));
}

function sumOf<T>(all: readonly T[], count: (one: T) => number): number {
  return all.reduce((sum, one) => sum + count(one), 0);
}
