/** CiliumCIDRGroups: ranges under a name, to which policies of Cilium's kinds refer. */
import { CILIUM_CIDR_GROUPS, type KubeObject, NAMESPACES } from "@isthmus/kube";
import type { Feed } from "../feed/feed.js";

export interface CidrGroupFacts {
  /** As in its metadata. */
  readonly name: string;
  /** As written; what is no range is a finding in the policies that refer to the group. */
  readonly cidrs: readonly string[];
}

/** Never throws. */
export function cidrGroupFacts({ metadata, ...object }: KubeObject): CidrGroupFacts {
  const { spec } = object as { readonly spec?: { readonly externalCIDRs?: unknown } | null };
  const cidrs: unknown = spec?.externalCIDRs;
  const name = metadata.name ?? "";
  return { name, cidrs: Array.isArray(cidrs) ? cidrs.map((one: unknown) => (typeof one === "string" ? one : "")) : [] };
}

/** What policies refer to, by name. */
export interface CidrGroupJoin {
  /** A new group, or other ranges of one. */
  setGroup(name: string, cidrs: readonly string[]): void;
  /** Policies that refer to it are not accepted any more. */
  deleteGroup(name: string): void;
}

/** `policies`: has the records. */
export function createCidrGroupFeed(policies: CidrGroupJoin): Feed<CidrGroupFacts> {
  return {
    resource: CILIUM_CIDR_GROUPS,
    whileAbsent: NAMESPACES,
    versionType: "ciliumcidrgroups",
    facts: cidrGroupFacts,
    take({ deletes, sets }) {
      for (const { value } of deletes) policies.deleteGroup(value.name);
      for (const { value } of sets) policies.setGroup(value.name, value.cidrs);
    },
  };
}
