/** Rows of `mesh policy list`: every policy of this cluster, what of it is in force, and on how many nodes (pure). */
import type { ListPoliciesRequest, PolicyReport } from "@isthmus/proto";
import { policyRecordKey } from "@isthmus/records";
import type { KnownPolicy } from "../cluster/policies/policy-table.js";
import type { EnforcedPolicies } from "../ports/enforced-policies.js";

/** Number of policies whose present generation is not accepted. */
export function countNotAccepted(policies: Iterable<Pick<KnownPolicy, "findings">>): number {
  let count = 0;
  for (const { findings } of policies) if (findings.length > 0) count++;
  return count;
}

/** Findings of one policy; the first ones say enough. */
const MAX_FINDINGS = 10;

/** Sorted by kind, namespace and name. `enforced` undefined: the nodes are not known. */
export function policyReports(
  policies: Iterable<KnownPolicy>,
  enforced: EnforcedPolicies | undefined,
  { namespace }: ListPoliciesRequest,
): PolicyReport[] {
  const reports: PolicyReport[] = [];
  for (const { facts, accepted, findings } of policies) {
    if (namespace !== "" && facts.namespace !== namespace) continue;
    const { of, name } = facts;
    const key = policyRecordKey({ resource: of.resource.plural, namespace: facts.namespace, name });
    reports.push({
      ...{ kind: of.resource.kind, namespace: facts.namespace, name },
      generation: BigInt(facts.generation),
      inForce: BigInt(accepted?.generation ?? 0),
      findings: findings.slice(0, MAX_FINDINGS).map(({ sentence }) => sentence),
      enforcedNodes: accepted === undefined ? 0 : (enforced?.on(key) ?? 0),
      nodes: enforced?.nodes ?? 0,
      unenforced: accepted === undefined ? [] : [...(enforced?.why(key) ?? [])],
    });
  }
  const order = ({ kind, namespace, name }: PolicyReport) => `${kind} ${namespace} ${name}`;
  return reports.sort((a, b) => (order(a) < order(b) ? -1 : 1));
}
