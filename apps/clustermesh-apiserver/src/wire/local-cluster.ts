/** The local cluster: its ranges, its objects as records, its agents, and what it reports to users about their Services. */
import { createEventRecorder, type EventRecorder } from "@isthmus/kube";
import { createLastGood } from "../cluster/feed/last-good.js";
import { createFeeds, type LocalFeeds } from "../cluster/feeds.js";
import { createHealthAddresses, type HealthAddresses } from "../cluster/health-addresses.js";
import { createIdentityAllocation, type IdentityAllocation } from "../cluster/identity-allocation.js";
import { createLastGoodWriter, LAST_GOOD, readLastGood } from "../cluster/last-good-store.js";
import { createLocalSource, type LocalSource, type LocalSourceModules } from "../cluster/local-source.js";
import type { KnownNode } from "../cluster/nodes/node-feed.js";
import { savedPolicy } from "../cluster/policies/accepted-policy.js";
import { createPodAddresses, type PodAddresses } from "../cluster/pod-addresses.js";
import { savedAnnotations } from "../cluster/services/annotations.js";
import { createHolderEvents } from "../leader/holder-events.js";
import { firstEpoch } from "../membership/first-epoch.js";
import { createSourceSet, type SourceSet } from "../ports/source-set.js";
import type { PeriodicTask } from "../process/periodic-task.js";
import { type AgentRegistry, createAgentRegistry } from "../serve/agents/agent-registry.js";
import { createRangesSource, type RangesSource } from "../settings/cluster-ranges.js";
import type { ConfigSource } from "../settings/config-source.js";
import type { MeshConfig } from "../settings/mesh-config.js";
import { watchLocalCluster } from "../status/local-metrics.js";
import { createPolicyStatus } from "../status/policy-status.js";
import { createServiceStatus } from "../status/service-status.js";
import { type Applied, createApplied } from "./applied.js";
import type { Base } from "./base.js";
import type { Settings } from "./settings.js";

export interface LocalCluster {
  /** Writes Events whether or not this instance holds the Lease. */
  readonly recorder: EventRecorder;
  /** Writes Events while this instance holds the Lease. */
  readonly events: EventRecorder;
  /** The caller starts it. */
  readonly ranges: RangesSource;
  /** Those of `local`; others only read what they keep. */
  readonly feeds: LocalFeeds;
  /** The caller starts it. */
  readonly local: LocalSource;
  /** Undefined until Nodes have been read. */
  readonly nodes: () => ReadonlyMap<string, KnownNode> | undefined;
  /** Only the local cluster at first: the mesh adds the peers. */
  readonly sources: SourceSet;
  /** By name of the node; the agent of an existing Node is never forgotten. */
  readonly agents: AgentRegistry;
  /** On how many nodes Services and policies are applied. */
  readonly applied: Applied;
  /** Conditions of policies that have a status; the caller starts it. */
  readonly policyStatus: { run(signal: AbortSignal): Promise<void> };
  /** Writes the health addresses that agents report; the caller starts it. */
  readonly healthAddresses: HealthAddresses;
  /** Writes the addresses of pods that agents report; the caller starts it. */
  readonly podAddresses: PodAddresses;
  /** Gives numbers to label sets; the caller starts it. */
  readonly allocation: IdentityAllocation;
  /** Save the last good annotation values, and the last accepted policies; the caller starts them. */
  readonly lastGoodWriters: readonly PeriodicTask[];
  /** Events and conditions of Services; the caller starts it. */
  readonly serviceStatus: { run(signal: AbortSignal): Promise<void> };
}

/** Waits for what was saved in Kubernetes; its parts are started by the caller. Rejects when aborted. */
export async function createLocalCluster(
  { args, client, clock, log, metrics, transport }: Base,
  { settings, leadership, readiness, cluster, id }: Settings,
  epochs: Pick<LocalSourceModules, "readEpoch" | "saveEpoch">,
  signal: AbortSignal,
): Promise<LocalCluster> {
  const { instance, namespace } = args;
  const recorder = createEventRecorder(
    { controller: "isthmus.io/clustermesh-apiserver", instance },
    { client, clock, log: log.child("events"), signal },
  );
  const events = createHolderEvents(recorder, { leadership, clock });
  const ranges = createRangesSource({ transport, clock, log: log.child("config"), settings });
  const annotations = { client, namespace, name: LAST_GOOD.annotations, parse: savedAnnotations };
  const policies = { client, namespace, name: LAST_GOOD.policies, parse: savedPolicy };
  const lastGood = createLastGood(await readLastGood(annotations, clock, signal));
  const lastGoodPolicies = createLastGood(await readLastGood(policies, clock, signal));
  const feeds = createFeeds(ranges.current.podCidrs, {
    ...{ cluster, id, clock, lastGood },
    policies: { lastGood: lastGoodPolicies },
  });
  const { services } = feeds.services;
  const local = createLocalSource(
    { cluster, epoch: await firstEpoch(client, cluster, clock, signal) },
    { client, clock, log: log.child("cluster"), events, feeds: feeds.all, ...epochs },
  );
  readiness.kubernetes = () => local.problem;
  ranges.follow(local.configure);
  follow(settings, "rescueAfter", (rescueAfter) => local.configure({ rescueAfter }));
  follow(settings, "policyScope", (policyScope) => local.configure({ policyScope }));
  follow(settings, "auditMode", (auditMode) => local.configure({ auditMode }));
  watchLocalCluster(metrics, local, {
    ...{ services, policies: feeds.policies.policies, auditedPods: feeds.pods.identities.auditedPods },
  });
  const nodes = () => (local.inSync ? feeds.nodes.known : undefined);
  const sources = createSourceSet(local.stream);
  const agents = createAgentRegistry(clock, (node) => nodes()?.get(node) !== undefined);
  const applied = createApplied({ sources, agents, nodes, clock });
  return {
    ...{ recorder, events, ranges, feeds, local, nodes, sources },
    ...{ agents, applied },
    policyStatus: createPolicyStatus({
      ...{ policies: feeds.policies.policies, enforced: applied.policies, client, clock, leadership },
      log: log.child("status"),
    }),
    healthAddresses: createHealthAddresses({ client, nodes: feeds.nodes, clock, log: log.child("nodes") }),
    podAddresses: createPodAddresses({
      ...{ client, clock, metrics, pods: feeds.pods.identities, nodes: feeds.nodes },
      log: log.child("pods"),
    }),
    allocation: createIdentityAllocation(
      { cluster, id },
      {
        ...{ client, clock, metrics, leadership, identities: feeds.pods.identities },
        log: log.child("identities"),
        isVerified: () => local.stream.isVerified(),
      },
    ),
    lastGoodWriters: [
      createLastGoodWriter(annotations, lastGood, { client, clock, leadership, log: log.child("config") }),
      createLastGoodWriter(policies, lastGoodPolicies, { client, clock, leadership, log: log.child("config") }),
    ],
    serviceStatus: createServiceStatus({
      ...{ sources, services, events, client, clock, leadership },
      log: log.child("status"),
    }),
  };
}

/** Calls `listener` with the setting now and at each change; not before one is known. */
function follow<Name extends "rescueAfter" | "policyScope" | "auditMode">(
  settings: ConfigSource,
  name: Name,
  listener: (value: MeshConfig[Name]) => void,
): void {
  let last: MeshConfig[Name] | undefined;
  const look = () => {
    const now = settings.current?.[name];
    if (now === undefined || now === last) return;
    last = now;
    listener(now);
  };
  settings.onChange(look);
  look();
}
