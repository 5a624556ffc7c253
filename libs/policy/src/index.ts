export {
  CLUSTER_LABEL,
  isReservedKey,
  type Labels,
  NAMESPACE_LABEL,
  NAMESPACE_LABELS,
  type PodFacts,
  podIdentityLabels,
  SERVICE_ACCOUNT_LABEL,
} from "@isthmus/identity";
export { diffPolicies, type PolicyDiff, type PolicyDiffInput } from "./diff/diff-policies.js";
export type { DecidedPorts, Decision, FlipTotals, VerdictFlip } from "./diff/flip-list.js";
export * from "./model/address-block.js";
export * from "./model/audit-mode.js";
export * from "./model/policy.js";
export * from "./model/selector.js";
export type { CidrGroups } from "./parse/cilium-cidr-set.js";
export { parseCiliumClusterwideNetworkPolicy, parseCiliumNetworkPolicy } from "./parse/cilium-policy.js";
export type { Finding } from "./parse/findings.js";
export { MAX_ITEMS, MAX_RULES, MAX_SERVICE_SELECTORS, MAX_SERVICES, MAX_WIDE_PEERS } from "./parse/limits.js";
export { parseNetworkPolicy } from "./parse/network-policy.js";
export type { ParsedPolicy, ParseOptions, PolicyScope } from "./parse/parsed-policy.js";
export {
  meansService,
  type PolicyService,
  type ServiceLabel,
  type ServiceQuery,
  serviceQueries,
} from "./parse/service-query.js";
export { allowsLess } from "./resolve/allows-less.js";
export { type ClassRow, classKey, compareClassRows } from "./resolve/class-rows.js";
export type { RowChanges } from "./resolve/combinations.js";
export * from "./resolve/look-up.js";
export { policyPrefixes } from "./resolve/needed-prefixes.js";
export type { Identity } from "./resolve/peer-registry.js";
export * from "./resolve/policy-engine.js";
export { isOpen, type PeerRow, type PolicySet } from "./resolve/policy-set.js";
export type { Outcome } from "./resolve/port-rules.js";
export { NO_RULE, RULE_BITS, type RuleName, ruleNumber } from "./resolve/rule-name.js";
export type { PeerVerdict, PolicyClass } from "./resolve/verdict.js";
