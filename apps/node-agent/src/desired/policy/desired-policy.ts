/** What of identities and policies the node's maps must hold, without numbers of this node. */
import type { IdentityNumber } from "@isthmus/identity";
import type { Prefix } from "@isthmus/model";
import type { PolicySet, RowChanges } from "@isthmus/policy";

export interface DesiredPolicy {
  /** By address (`bytesKey`), of pods of this node that are attached and whose identity is known. */
  readonly subjects: ReadonlyMap<string, DesiredSubject>;
  /** Identity of each known address (`bytesKey`), of all clusters. */
  readonly addresses: ReadonlyMap<string, IdentityNumber>;
  /** By text. */
  readonly prefixes: ReadonlyMap<string, DesiredPrefix>;
}

/** A pod whose policy is enforced on this node. */
export interface DesiredSubject {
  /** That which programs on other nodes know it by. */
  readonly identity: IdentityNumber;
  /** Live, as the policy engine keeps it: `PolicyChanges.rows` says what changed in it. */
  readonly set: PolicySet;
}

/** The identity of addresses that have none of their own. */
export interface DesiredPrefix {
  /** First address and length. */
  readonly prefix: Prefix;
  /** Of its addresses, but for those of a longer prefix. */
  readonly identity: IdentityNumber;
  /** Each known address of it is in `addresses`. */
  readonly exact: boolean;
}

/** What changed since the last flush. */
export interface PolicyChanges {
  /** By address: another set, another identity, or gone. */
  readonly subjects: ReadonlyMap<string, { readonly tightens: boolean }>;
  /** Rows that came or went in place. */
  readonly rows: ReadonlyMap<PolicySet, RowChanges>;
  /** Those whose identity may be another one, or gone. */
  readonly addresses: Iterable<string>;
  /** By text, as `addresses`. */
  readonly prefixes: Iterable<string>;
}
