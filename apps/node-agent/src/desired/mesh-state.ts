/**
 * Turns the records of all sources into what the node's maps and routes must hold. Memory only; no kernel.
 *
 * ```
 *   take(deltas) ──► records, to the builder of each kind ──► flush() ──► what changed, of all builders
 * ```
 * Both run in slices, so that a first load does not block the event loop. A further family of the desired state is a
 * further builder here.
 */
import type { ServiceMerger } from "@isthmus/clustermesh";
import type { ServiceName } from "@isthmus/model";
import type { Node } from "@isthmus/proto";
import type { Slices } from "@isthmus/runtime";
import { createNodeConfigBuilder, type NodeConfigChanges } from "./node-config/node-config-builder.js";
import { createNodeBuilder, type NodeChanges } from "./nodes/node-builder.js";
import type { NodeName } from "./nodes/nodes.js";
import type { DesiredPolicy } from "@isthmus/node-policy";
import {
  createPolicyBuilder,
  type PolicyBuilder,
  type PolicyBuilderOptions,
  type PolicyFlush,
} from "@isthmus/node-policy";
import type { RecordDelta } from "./records/record-delta.js";
import { createRecordDispatcher } from "./records/record-dispatcher.js";
import { createServiceRanges, type ServiceRanges } from "./service-ranges/service-ranges.js";
import {
  createServiceBuilder,
  type ServiceBuilderModules,
  type ServiceBuilderOptions,
  type ServiceChanges,
} from "./services/service-builder.js";

export interface MeshStateOptions extends ServiceBuilderOptions {
  /** Kubernetes name of this node. */
  readonly node: string;
  readonly prefixMap: PolicyBuilderOptions["prefixMap"];
  readonly inMaps: PolicyBuilderOptions["inMaps"];
  readonly kept: PolicyBuilderOptions["kept"];
}

export interface MeshStateModules extends ServiceBuilderModules {
  /** Called for a record that cannot be read. */
  readonly refuse: (clusterId: number, key: string, error: Error) => void;
}

/** What changed since the last flush. */
export type Changes = ServiceChanges & NodeChanges & NodeConfigChanges & { readonly policy: PolicyFlush };

export interface MeshState {
  /** Sets the name of a cluster, as the servers send it; `clusterId` as on the wire. */
  name(clusterId: number, cluster: string): void;
  /** Takes records in. This work, as that of `flush`, must be run to its end before the next one begins. */
  take(deltas: readonly RecordDelta[]): Slices<void>;
  /** Returns the changes of everything that was taken since the last flush. */
  flush(): Slices<Changes>;
  /** Nodes of every cluster by record. */
  readonly nodes: ReadonlyMap<NodeName, Node>;
  /** Clusters (by their real id) that were in sync since the start. */
  readonly clustersInSync: ReadonlySet<number>;
  /** The local cluster is among them: the maps no longer hold adopted frontends that no record asks for. */
  readonly localVerified: boolean;
  /** Frontends that cannot be planned, by Service. */
  readonly planErrors: ReadonlyMap<ServiceName, Error>;
  /** The Services of all clusters, with placeholder records; only `take` and `flush` change it. */
  readonly merger: ServiceMerger;
  /** From the NodeConfig of the local cluster and the nodes of all clusters. */
  readonly serviceRanges: Pick<ServiceRanges, "exclusive" | "shared">;
  /** As of the last flush. */
  readonly policy: DesiredPolicy;
  /** Explains it, as of the last flush; its subjects are the pods of this node by address (`bytesKey`). */
  readonly policyEngine: PolicyBuilder["engine"];
  /** Which policies are in force, as of the last flush. */
  readonly policies: PolicyBuilder["policies"];
  /** Pods of this node; may be changed at any time, and are resolved by the next flush. */
  readonly pods: PolicyBuilder["pods"];
  /** See `PolicyBuilder`; resolved by the next flush. */
  readonly setHostAddresses: PolicyBuilder["setHostAddresses"];
}

/** Holds no records. `flush` writes planned frontends into `modules.desired`. */
export function createMeshState(options: MeshStateOptions, modules: MeshStateModules): MeshState {
  const { clusterId: localClusterId } = options;
  const serviceRanges = createServiceRanges();
  const nodes = createNodeBuilder(serviceRanges.setNode);
  const services = createServiceBuilder(options, modules);
  const nodeConfig = createNodeConfigBuilder(options, ({ serviceCidrs }) => serviceRanges.setRanges(serviceCidrs));
  const policy = createPolicyBuilder(options);
  const builders = [nodes, services, nodeConfig, policy];
  const dispatcher = createRecordDispatcher({ builders, localClusterId, refuse: modules.refuse });
  const { clustersInSync } = dispatcher;
  return {
    nodes: nodes.records,
    serviceRanges,
    clustersInSync,
    get localVerified() {
      return clustersInSync.has(localClusterId);
    },
    planErrors: services.planErrors,
    merger: services.merger,
    policy: policy.desired,
    policyEngine: policy.engine,
    policies: policy.policies,
    pods: policy.pods,
    setHostAddresses: policy.setHostAddresses,
    name(clusterId, cluster) {
      for (const each of [services, policy]) each.name(clusterId === 0 ? localClusterId : clusterId, cluster);
    },
    *take(deltas) {
      yield* dispatcher.take(deltas);
      yield* serviceRanges.compare();
    },
    *flush() {
      const changes = { ...(yield* services.flush()), ...nodes.flush(), ...nodeConfig.flush() };
      return { ...changes, policy: yield* policy.flush() };
    },
  };
}
