/** The watched resources of the local cluster: the one place that names them all. */
import type { Clock, ClusterId, ClusterName, Prefix } from "@isthmus/model";
import { createEndpointFeed, type EndpointFeed } from "./endpoints/endpoint-feed.js";
import type { Feed } from "./feed/feed.js";
import type { LastGood } from "./feed/last-good.js";
import { createPodFeed, type PodFeed } from "./identities/pod-feed.js";
import { createNodeFeed, type NodeFeed } from "./nodes/node-feed.js";
import { createPolicyFeeds, type PolicyFeeds } from "./policies/policy-feeds.js";
import type { PolicyTableModules } from "./policies/policy-table.js";
import type { MeshAnnotations } from "./services/annotations.js";
import { createServiceFeed, type ServiceFeed } from "./services/service-feed.js";

export interface LocalFeeds {
  /** Each watched resource once. */
  readonly all: readonly Feed[];
  /** Has the records of Services and of the slices that `endpoints` joins with them. */
  readonly services: ServiceFeed;
  /** Passes the slices on to `services`; has no records. */
  readonly endpoints: EndpointFeed;
  /** Has the NODE and NODE_CONFIG records. */
  readonly nodes: NodeFeed;
  /** Have the POLICY records. */
  readonly policies: PolicyFeeds;
  /** Has the IDENTITY and ENDPOINT records. */
  readonly pods: PodFeed;
}

export interface LocalFeedsModules {
  /** Name of the local cluster, a label of its pods' identities. */
  readonly cluster: ClusterName;
  /** Its bits are in the numbers of its identities. */
  readonly id: ClusterId;
  /** Its monotonic time becomes `knownSince` of Nodes. */
  readonly clock: Clock;
  /** Annotation values by uid of the Service. */
  readonly lastGood: LastGood<MeshAnnotations>;
  /** For the feeds of policies. */
  readonly policies: Omit<PolicyTableModules, "cluster">;
}

/** `podCidrs` undefined: not known yet; nothing is published then. */
export function createFeeds(
  podCidrs: readonly Prefix[] | undefined,
  { cluster, id, clock, lastGood, ...modules }: LocalFeedsModules,
): LocalFeeds {
  const policies = createPolicyFeeds({ ...modules.policies, cluster });
  const services = createServiceFeed(lastGood, podCidrs, policies.services);
  const endpoints = createEndpointFeed(services.slices);
  const nodes = createNodeFeed(clock, podCidrs);
  const pods = createPodFeed({ cluster, id }, podCidrs);
  // Services are before policies, which take changes of them in the same turn.
  const all = [services, endpoints, nodes, pods, pods.namespaces, pods.objects, ...policies.all];
  return { all, services, endpoints, nodes, pods, policies };
}
