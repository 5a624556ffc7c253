/** Policies of all kinds: POLICY records, which never leave the cluster, and Events for those who wrote them. */
import type { Feed } from "../feed/feed.js";
import { type PolicyFacts, policyFacts } from "./policy-facts.js";
import { NETWORK_POLICY } from "./policy-resources.js";
import { createPolicyTable, type KnownPolicy, type PolicyTableModules } from "./policy-table.js";

export interface PolicyFeeds {
  /** The first has the records of all of them. */
  readonly all: readonly Feed<PolicyFacts>[];
  /** As of the last `takeChanges`, in no order. */
  known(): Iterable<KnownPolicy>;
}

/** Without policies. */
export function createPolicyFeeds(modules: PolicyTableModules): PolicyFeeds {
  const table = createPolicyTable(modules);
  const networkPolicies: Feed<PolicyFacts> = {
    resource: NETWORK_POLICY.resource,
    versionType: "policies",
    facts: (object) => policyFacts(NETWORK_POLICY, object),
    take({ deletes, sets }) {
      for (const { value } of deletes) table.delete(value);
      for (const { value } of sets) table.set(value);
    },
    records: {
      configure: () => undefined,
      takeChanges: () => ({ ...table.flush(), exported: { upserts: [], deletes: [] } }),
    },
  };
  return { all: [networkPolicies], known: table.all };
}
