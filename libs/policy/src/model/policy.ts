/**
 * What all kinds of policies are parsed into.
 *
 * A policy is accepted whole or not at all, so what is here is complete. Rules only add up: a direction in which some spec
 * isolates a pod allows what some rule allows and none denies; any other direction allows what no rule denies.
 */
import type { AddressBlock } from "./address-block.js";
import type { Selector } from "./selector.js";

export type Direction = "ingress" | "egress";

export type PolicyKind = "NetworkPolicy" | "CiliumNetworkPolicy" | "CiliumClusterwideNetworkPolicy";

export interface Policy {
  /** Policies of different kinds may have the same name. */
  readonly kind: PolicyKind;
  /** "" for a policy of no namespace. */
  readonly namespace: string;
  /** As in its metadata. */
  readonly name: string;
  /** Each for its own subjects; those of a pod add up. */
  readonly specs: readonly PolicySpec[];
}

/** Rules for the pods that one selector selects. */
export interface PolicySpec {
  /** Whose flows the rules are about. */
  readonly subject: Selector;
  /** Directions in which what no rule allows is denied. */
  readonly isolates: ReadonlySet<Direction>;
  /** In the order in which they are written; it has no meaning. */
  readonly rules: readonly PolicyRule[];
}

export interface PolicyRule {
  /** As the subject sees it. */
  readonly direction: Direction;
  /** Deny beats allow. */
  readonly action: "allow" | "deny";
  /** Where it is written in the policy: `spec.ingress[0]`. */
  readonly path: string;
  /** The other ends. An empty list matches none. */
  readonly peers: "all" | readonly Peer[];
  /** Ports of the end at which the flow did not begin. */
  readonly ports: "all" | readonly PortMatch[];
}

export type Peer = { readonly kind: "labels"; readonly selector: Selector } | BlockPeer;

/** Addresses: the identities of the block that the selector selects, too. */
export interface BlockPeer {
  /** Tells it from a selector alone. */
  readonly kind: "block";
  /** By the prefix of the identity. */
  readonly block: AddressBlock;
  /** By its labels. */
  readonly selector: Selector;
}

/** Ports of one protocol, from the first to the last; or those that a pod has under a name. */
export type PortMatch =
  | { readonly protocol: number; readonly first: number; readonly last: number }
  | { readonly protocol: number; readonly name: string };

/** A named port of a pod's containers. */
export interface NamedPort {
  /** As rules name it: `http`. */
  readonly name: string;
  /** IP protocol. */
  readonly protocol: number;
  /** 1 to 65535. */
  readonly port: number;
}

export const LAST_PORT = 65535;

/** The same text for the same peer. */
export function peerText(peer: Peer): string {
  return peer.kind === "labels" ? `labels ${peer.selector.text}` : `block ${peer.block.text} of ${peer.selector.text}`;
}

/** Name of a policy among all of all kinds: `NetworkPolicy shop/web`. */
export function policyKey({ kind, namespace, name }: Pick<Policy, "kind" | "namespace" | "name">): string {
  return `${kind} ${namespace === "" ? name : `${namespace}/${name}`}`;
}

/** The parts of what `policyKey` wrote. */
export function parsePolicyKey(key: string): Pick<Policy, "kind" | "namespace" | "name"> {
  const space = key.indexOf(" ");
  const slash = key.indexOf("/", space);
  return {
    kind: key.slice(0, space) as PolicyKind,
    namespace: slash < 0 ? "" : key.slice(space + 1, slash),
    name: key.slice(Math.max(space, slash) + 1),
  };
}
