/**
 * How policies would be judged after a change that is not made (pure).
 *
 * In: the policies that are known, and objects that would come, change or go. Out: each policy that the change concerns, also
 * those that refer to a CiliumCIDRGroup that changes, with the findings that the policy table would have.
 */
import type { Finding } from "@isthmus/policy";
import { policyRecordKey } from "@isthmus/records";
import { type AcceptedPolicy, contentFindings, type PolicyContext, policyContent } from "./accepted-policy.js";
import type { CidrGroupFacts } from "./cidr-groups.js";
import type { PolicyFacts } from "./policy-facts.js";
import { type KnownPolicy, MAX_POLICIES, tooMany } from "./policy-table.js";

/** A change of objects. */
export interface ObjectChange {
  /** New, or in place of the one of the same kind, namespace and name. */
  readonly policies: readonly PolicyFacts[];
  /** Keys of records of policies. */
  readonly deleted: readonly string[];
  /** New, or in place of the one of the same name. */
  readonly groups: readonly CidrGroupFacts[];
}

export interface PolicyPreview {
  /** As they would be, or were before a deletion. */
  readonly facts: PolicyFacts;
  /** The cluster has such a policy, in force or not. */
  readonly isKnown: boolean;
  /** What is in force now; undefined: nothing. */
  readonly before: AcceptedPolicy | undefined;
  /** What would be in force; undefined: nothing. */
  readonly after: AcceptedPolicy | undefined;
  /** Why the change of this policy would not be accepted. */
  readonly findings: readonly Finding[];
}

export interface PolicyPreviewModules {
  /** All policies of the cluster. */
  readonly known: Iterable<KnownPolicy>;
  /** What they are parsed with now. */
  readonly context: PolicyContext;
  /** Name of the local one. */
  readonly cluster: string;
  /** `MAX_POLICIES` unless given. */
  readonly maxPolicies?: number;
}

/** By key of the record. Yields where other work may run. */
export function* previewPolicies(
  { policies, deleted, groups }: ObjectChange,
  { known, context, cluster, maxPolicies = MAX_POLICIES }: PolicyPreviewModules,
): Generator<void, ReadonlyMap<string, PolicyPreview>> {
  const before = new Map<string, KnownPolicy>();
  for (const one of known) before.set(keyOf(one.facts), one);
  const changedGroups = new Map(groups.map(({ name, cidrs }) => [name, cidrs]));
  const after = { ...context, groups: new Map([...context.groups, ...changedGroups]) };
  const previews = new Map<string, PolicyPreview>();

  function set(key: string, facts: PolicyFacts): void {
    const present = before.get(key);
    const inForce = present?.accepted;
    const content = policyContent(facts, after);
    const findings = contentFindings(facts.of, content, cluster);
    const isAccepted = findings.length === 0 && "object" in content;
    const isKnown = present !== undefined;
    previews.set(key, { facts, isKnown, before: inForce, after: isAccepted ? content : inForce, findings });
  }

  for (const key of deleted) {
    const one = before.get(key);
    if (one === undefined) continue;
    previews.set(key, { facts: one.facts, isKnown: true, before: one.accepted, after: undefined, findings: [] });
  }
  for (const facts of policies) {
    set(keyOf(facts), facts);
    yield;
  }
  for (const [key, { facts }] of changedGroups.size === 0 ? [] : before) {
    if (previews.has(key) || !facts.groups.some((name) => changedGroups.has(name))) continue;
    set(key, facts);
    yield;
  }
  const added = [...previews.keys()].filter((key) => !before.has(key));
  const left = maxPolicies - before.size + deleted.filter((key) => before.has(key)).length;
  for (const key of added.slice(Math.max(0, left))) {
    const one = previews.get(key);
    if (one !== undefined) previews.set(key, { ...one, after: undefined, findings: [tooMany(maxPolicies)] });
  }
  return previews;
}

function keyOf({ of, namespace, name }: PolicyFacts): string {
  return policyRecordKey({ resource: of.resource.plural, namespace, name });
}
