/** The resources that policies are written as, and how each is read. */
import {
  CILIUM_CLUSTERWIDE_NETWORK_POLICIES,
  CILIUM_NETWORK_POLICIES,
  NETWORK_POLICIES,
  type Resource,
} from "@isthmus/kube";
import {
  type ParsedPolicy,
  type ParseOptions,
  parseCiliumClusterwideNetworkPolicy,
  parseCiliumNetworkPolicy,
  parseNetworkPolicy,
} from "@isthmus/policy";
import type { VersionType } from "@isthmus/records";

export interface PolicyResource {
  /** What is listed and watched. */
  readonly resource: Resource;
  /** The place of its resource version in the position of the local cluster. */
  readonly versionType: VersionType;
  /** True: a CRD defines it, which may not be installed. Its objects have conditions. */
  readonly isCustom: boolean;
  /** Never throws; agents call the same function with the same object. */
  readonly parse: (object: unknown, options: ParseOptions) => ParsedPolicy;
}

export const NETWORK_POLICY: PolicyResource = {
  resource: NETWORK_POLICIES,
  versionType: "policies",
  isCustom: false,
  parse: parseNetworkPolicy,
};

export const CILIUM_NETWORK_POLICY: PolicyResource = {
  resource: CILIUM_NETWORK_POLICIES,
  versionType: "ciliumnetworkpolicies",
  isCustom: true,
  parse: parseCiliumNetworkPolicy,
};

export const CILIUM_CLUSTERWIDE_NETWORK_POLICY: PolicyResource = {
  resource: CILIUM_CLUSTERWIDE_NETWORK_POLICIES,
  versionType: "ciliumclusterwidenetworkpolicies",
  isCustom: true,
  parse: parseCiliumClusterwideNetworkPolicy,
};

export const POLICY_RESOURCES: readonly PolicyResource[] = [
  NETWORK_POLICY,
  CILIUM_NETWORK_POLICY,
  CILIUM_CLUSTERWIDE_NETWORK_POLICY,
];
