/** The feeds of one cluster and their records, without Kubernetes; on request, what changed is flushed as an index would. */
import { CILIUM_NETWORK_POLICIES, type ReportedEvent } from "@isthmus/kube";
import { type Prefix, parseClusterId, parseClusterName, type ServiceName, systemClock } from "@isthmus/model";
import type { Feed, LocalSettings } from "../feed/feed.js";
import { createLastGood } from "../feed/last-good.js";
import type { RecordChange } from "../feed/record-diff.js";
import { createFeeds } from "../feeds.js";
import type { LocalIdentities } from "../identities/pod-feed.js";
import { createLocalRecords } from "../local-records.js";
import type { PolicyFacts } from "../policies/policy-facts.js";
import type { KnownService } from "../services/service-table.js";

export interface TestRecords {
  readonly takeServices: ReturnType<typeof createFeeds>["services"]["take"];
  readonly takeSlices: ReturnType<typeof createFeeds>["endpoints"]["take"];
  /** CiliumNetworkPolicies. */
  readonly takePolicies: Feed<PolicyFacts>["take"];
  readonly takeNodes: ReturnType<typeof createFeeds>["nodes"]["take"];
  readonly takePods: ReturnType<typeof createFeeds>["pods"]["take"];
  readonly takeNamespaces: ReturnType<typeof createFeeds>["pods"]["namespaces"]["take"];
  readonly takeIdentities: ReturnType<typeof createFeeds>["pods"]["objects"]["take"];
  readonly identities: LocalIdentities;
  configure(settings: LocalSettings): void;
  service(name: ServiceName): KnownService | undefined;
  allServices(): Iterable<KnownService>;
  takeChanges(): TestChanges;
}

export interface TestChanges {
  readonly local: RecordChange;
  readonly exported: RecordChange;
  readonly notes: readonly ReportedEvent[];
  /** The Services that listeners were called with. */
  readonly changed: readonly ServiceName[];
}

export function createTestRecords(podCidrs: readonly Prefix[] | undefined): TestRecords {
  const feeds = createFeeds(podCidrs, {
    ...{ cluster: parseClusterName("east"), id: parseClusterId(1) },
    ...{ clock: systemClock, lastGood: createLastGood() },
    policies: { lastGood: createLastGood() },
  });
  const records = createLocalRecords(feeds.all);
  const policies = feeds.policies.all.find(({ resource }) => resource === CILIUM_NETWORK_POLICIES) as Feed<PolicyFacts>;
  let changed: readonly ServiceName[] = [];
  feeds.services.services.onChange((services) => {
    changed = services;
  });
  return {
    takeServices: feeds.services.take,
    takeSlices: feeds.endpoints.take,
    takePolicies: policies.take,
    takeNodes: feeds.nodes.take,
    takePods: feeds.pods.take,
    takeNamespaces: feeds.pods.namespaces.take,
    takeIdentities: feeds.pods.objects.take,
    identities: feeds.pods.identities,
    configure: records.configure,
    service: feeds.services.services.get,
    allServices: feeds.services.services.all,
    takeChanges() {
      changed = [];
      const changes = records.takeChanges();
      records.applied();
      return { ...changes, changed };
    },
  };
}
