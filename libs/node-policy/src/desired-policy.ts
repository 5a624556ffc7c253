/**
 * What the policy maps of this node must hold: identities by address, and the policy of each pod of the node. A read-only view;
 * numbers that are node-local have a meaning on this node only.
 */
import type { IdentityNumber } from "@isthmus/identity";
import type { Prefix } from "@isthmus/model";
import type { PolicySet, RowChanges } from "@isthmus/policy";

/** Whose addresses these are, by the longest prefix, if an address has no identity of its own. */
export interface DesiredPrefix {
  readonly prefix: Prefix;
  readonly identity: IdentityNumber;
  /** True for pod ranges: each known address in it has an identity of its own. */
  readonly exact: boolean;
}

/** What holds for a pod of this node. */
export interface DesiredSubject {
  /** The one that its cluster gave it, also where policies know its address by a node-local one. */
  readonly identity: IdentityNumber;
  readonly set: PolicySet;
  /** In audit mode: what the set denies passes, and is reported. */
  readonly audited: boolean;
}

export interface DesiredPolicy {
  /** By address (`bytesKey`), pods of this node that are attached and whose identity is known. */
  readonly subjects: ReadonlyMap<string, DesiredSubject>;
  /** By address (`bytesKey`), of pods, nodes and apiservers of all clusters. */
  readonly addresses: ReadonlyMap<string, IdentityNumber>;
  /** By text. */
  readonly prefixes: ReadonlyMap<string, DesiredPrefix>;
}

/** What changed since the last flush. */
export interface PolicyChanges {
  /** Those with another set, identity or mode, and those that are gone; see `SubjectChange`. */
  readonly subjects: ReadonlyMap<string, { readonly tightens: boolean }>;
  /** Rows that came or went in place with identities, by set. */
  readonly rows: ReadonlyMap<PolicySet, RowChanges>;
  /** Keys of `DesiredPolicy.addresses` that came, went or have another identity. */
  readonly addresses: Iterable<string>;
  /** Keys of `DesiredPolicy.prefixes` that came, went or have other content. */
  readonly prefixes: Iterable<string>;
}
