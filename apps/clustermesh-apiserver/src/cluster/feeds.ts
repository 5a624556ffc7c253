/** The watched resources of the local cluster: the one place that names them all. */
import type { Clock, Prefix } from "@isthmus/model";
import { createEndpointFeed, type EndpointFeed } from "./endpoints/endpoint-feed.js";
import type { Feed } from "./feed/feed.js";
import type { LastGood } from "./feed/last-good.js";
import { createNodeFeed, type NodeFeed } from "./nodes/node-feed.js";
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
}

export interface LocalFeedsModules {
  /** Its monotonic time becomes `knownSince` of Nodes. */
  readonly clock: Clock;
  /** Annotation values by uid of the Service. */
  readonly lastGood: LastGood<MeshAnnotations>;
}

/** `podCidrs` undefined: not known yet; nothing is published then. */
export function createFeeds(
  podCidrs: readonly Prefix[] | undefined,
  { clock, lastGood }: LocalFeedsModules,
): LocalFeeds {
  const services = createServiceFeed(lastGood, podCidrs);
  const endpoints = createEndpointFeed(services.slices);
  const nodes = createNodeFeed(clock, podCidrs);
  return { all: [services, endpoints, nodes], services, endpoints, nodes };
}
