/** The resources that policies are written as, and how each is read. */
import { NETWORK_POLICIES, type Resource } from "@isthmus/kube";
import { type ParsedPolicy, type ParseOptions, parseNetworkPolicy } from "@isthmus/policy";

export interface PolicyResource {
  /** What is listed and watched. */
  readonly resource: Resource;
  /** Never throws; agents call the same function with the same object. */
  readonly parse: (object: unknown, options: ParseOptions) => ParsedPolicy;
}

export const NETWORK_POLICY: PolicyResource = { resource: NETWORK_POLICIES, parse: parseNetworkPolicy };
