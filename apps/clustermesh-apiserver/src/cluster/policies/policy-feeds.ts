/** Policies of all kinds: POLICY records, which never leave the cluster, and Events for those who wrote them. */
import { NAMESPACES } from "@isthmus/kube";
import { createEmitter } from "@isthmus/runtime";
import type { Feed, FeedRecords } from "../feed/feed.js";
import type { ServiceJoin } from "../services/policy-service.js";
import type { PolicyContext } from "./accepted-policy.js";
import { createCidrGroupFeed } from "./cidr-groups.js";
import { type PolicyFacts, policyFacts } from "./policy-facts.js";
import {
  CILIUM_CLUSTERWIDE_NETWORK_POLICY,
  CILIUM_NETWORK_POLICY,
  NETWORK_POLICY,
  type PolicyResource,
} from "./policy-resources.js";
import { createPolicyTable, type KnownPolicy, type PolicyTableModules } from "./policy-table.js";

/** The local cluster's policies as their users wrote them, with what is in force of each. */
export interface LocalPolicies {
  /** By the key of its record; undefined when there is no such policy, or it has not been read yet. */
  get(key: string): KnownPolicy | undefined;
  /** In no order. */
  known(): Iterable<KnownPolicy>;
  /** What they are parsed with now. */
  context(): PolicyContext;
  /** Calls the listener with the keys of policies that changed, deleted ones included. Returns a function that removes it. */
  onChange(listener: (keys: readonly string[]) => void): () => void;
}

export interface PolicyFeeds {
  /** The first has the records of all of them. */
  readonly all: readonly Feed[];
  /** As of the last `takeChanges`. */
  readonly policies: LocalPolicies;
  /** Takes the Services that policies mean. */
  readonly services: ServiceJoin;
}

/** Without policies. */
export function createPolicyFeeds(modules: PolicyTableModules): PolicyFeeds {
  const table = createPolicyTable(modules);
  const changes = createEmitter<readonly string[]>();
  let changed: readonly string[] = [];

  const records: FeedRecords = {
    configure({ policyScope }) {
      if (policyScope !== undefined) table.setScope(policyScope);
    },
    takeChanges() {
      const flushed = table.flush();
      changed = flushed.changed;
      return { local: flushed.local, exported: { upserts: [], deletes: [] }, notes: flushed.notes };
    },
    applied() {
      if (changed.length > 0) changes.emit(changed);
    },
  };
  const feed = (of: PolicyResource, more: Partial<Feed<PolicyFacts>> = {}): Feed<PolicyFacts> => ({
    resource: of.resource,
    versionType: of.versionType,
    ...(of.isCustom ? { whileAbsent: NAMESPACES } : {}),
    facts: (object) => policyFacts(of, object),
    take({ deletes, sets }) {
      for (const { value } of deletes) table.delete(value);
      for (const { value } of sets) table.set(value);
    },
    ...more,
  });
  return {
    all: [
      feed(NETWORK_POLICY, { records }),
      feed(CILIUM_NETWORK_POLICY),
      feed(CILIUM_CLUSTERWIDE_NETWORK_POLICY),
      createCidrGroupFeed(table),
    ],
    services: table,
    policies: { get: table.get, known: table.all, context: table.context, onChange: changes.subscribe },
  };
}
