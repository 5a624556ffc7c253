/** What the parts of policy need from outside, and what they tell each other. */
import type { IdentityNumber } from "@isthmus/identity";

/** What is enforced for the pods of this node: words of mesh_endpoints, which another module keeps. */
export interface PodPolicies {
  /** Addresses (`bytesKey`) of pods that have a row. */
  readonly addresses: Iterable<string>;
  /** What is enforced for the pod with this address, a `struct pod_policy_word`, and its identity; undefined: it has no row. */
  policyOf(address: string): { readonly word: bigint; readonly identity: number } | undefined;
  /** Stores both. Returns false when the address has no row. */
  setPolicy(address: string, word: bigint, identity: number): boolean;
  /** Calls `changed` with each address whose row comes or goes, when no program finds the former one any more. */
  onChange(changed: (address: string) => void): void;
}

/** What is known to be complete. */
export interface PolicySync {
  /** The local cluster's records are in sync: before that nothing is written. */
  readonly localInSync: boolean;
  /** No cluster may have an address with this identity that is not known yet. */
  mayRemove(identity: number): boolean;
}

/** Identities that rows of mesh_ipcache and mesh_ipcache_prefixes name. */
export interface IdentityUses {
  /** A row names it. */
  add(identity: number): void;
  /** A row names it no more. */
  delete(identity: number): void;
  /** True when a row names it. */
  has(identity: number): boolean;
  /** All that rows name. */
  readonly identities: Iterable<number>;
  /** How often the last row of an identity went. */
  readonly departures: number;
}

/** Without any. */
export function createIdentityUses(): IdentityUses {
  const counts = new Map<number, number>();
  let departures = 0;
  return {
    add: (identity) => void counts.set(identity, (counts.get(identity) ?? 0) + 1),
    delete(identity) {
      const left = (counts.get(identity) ?? 0) - 1;
      if (left > 0) counts.set(identity, left);
      else if (counts.delete(identity)) departures++;
    },
    has: (identity) => counts.has(identity),
    get identities() {
      return counts.keys();
    },
    get departures() {
      return departures;
    },
  };
}

/** An address, or those of a prefix, had the first identity and have the second one now. */
export interface IdentityMove {
  /** That of the address before. */
  readonly before: number;
  /** That which it has now. */
  readonly now: number;
}

/** What the part of identities needs of the part of sets. */
export interface PolicyRows {
  /** A set has no room for its row of this identity, so no address may get it. */
  isBlocked(identity: IdentityNumber): boolean;
  /** True when a pod has a set. */
  readonly isEnforcing: boolean;
  /** Gives another revision to the pods that allow something to the first identity of a move and not to the second one. */
  judgeAgain(moves: readonly IdentityMove[] | "all"): void;
}
