/**
 * Turns the records of all sources into what the node's maps and routes must hold. Memory only; no kernel.
 *
 * ```
 *   take(deltas) ──► records in kind order, deletions in reverse ──► flush() ──► frontends, nodes that changed
 * ```
 * Both run in slices, so that a first load does not block the event loop. A Service is merged in one slice, and all
 * upserts are taken before the first deletion.
 *
 * Until a cluster is in sync, placeholder records hold what the kernel serves of it. A record that cannot be read is
 * refused and counted; the others are applied. A frontend that cannot be planned keeps its last plan.
 */
import { createServiceMerger, type MergedFrontend, type ServiceMerger } from "@isthmus/clustermesh";
import { type FrontendPlan, planFrontend } from "@isthmus/loadbalancer";
import { type ClusterId, type ClusterName, MeshError, type ServiceName } from "@isthmus/model";
import { Kind, Node, NodeConfig } from "@isthmus/proto";
import { type HashedRecord, nodeConfigKey } from "@isthmus/records";
import type { Slices } from "@isthmus/runtime";
import type { SourceDelta } from "../sync/source-types.js";
import { type DesiredNode, desiredNode, type NodeName, nodeName } from "./nodes/nodes.js";
import { inApplyOrder, isRecord } from "./records/apply-order.js";
import type { RecordName } from "./records/record-delta.js";
import { createServiceRanges, type ServiceRanges } from "./service-ranges/service-ranges.js";
import type { DesiredState } from "./services/desired-state.js";
import { type FrontendName, frontendName } from "./services/frontends.js";
import { otherProxyAddresses } from "./services/other-proxy-addresses.js";
import { createPlaceholderRecords, type KernelFacts } from "./services/placeholder-records.js";

export interface MeshStateOptions {
  readonly node: string;
  readonly cluster: ClusterName;
  readonly clusterId: ClusterId;
}

export interface MeshStateModules extends KernelFacts {
  readonly desired: DesiredState;
  /** Called for a record that cannot be read. */
  readonly refuse: (clusterId: number, key: string, error: Error) => void;
}

/** What changed since the last flush. */
export interface Changes {
  readonly frontends: ReadonlySet<FrontendName>;
  readonly nodes: ReadonlyMap<NodeName, DesiredNode | undefined>;
  /** The local cluster is in sync for the first time: frontends that are not desired can be removed. */
  readonly sweepFrontends: boolean;
  readonly sweepNodes: readonly number[];
  readonly nodeConfig: NodeConfig | undefined;
  /** Routes may have changed: node records changed, or a cluster is in sync for the first time or was removed. */
  readonly routes: boolean;
}

export interface MeshState {
  /** Sets the name of a cluster, as the servers send it; `clusterId` as on the wire. */
  name(clusterId: number, cluster: string): void;
  /** Takes records in. This work, as that of `flush`, must be run to its end before the next one begins. */
  take(deltas: readonly SourceDelta[]): Slices<void>;
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
  readonly merger: ServiceMerger;
  /** From the NodeConfig of the local cluster and the nodes of all clusters. */
  readonly serviceRanges: Pick<ServiceRanges, "exclusive" | "shared">;
}

const RECORDS_PER_SLICE = 1000;
const SERVICES_PER_SLICE = 250;

interface Scratch {
  /** Local Services whose configuration changed, and with it perhaps the proxy that serves them. */
  readonly configured: Set<ServiceName>;
  readonly nodes: Map<NodeName, DesiredNode | undefined>;
  readonly sweepNodes: number[];
  sweepFrontends: boolean;
  nodeConfig: NodeConfig | undefined;
  routes: boolean;
}

export function createMeshState(options: MeshStateOptions, modules: MeshStateModules): MeshState {
  const { desired } = modules;
  const merger = createServiceMerger();
  const nodes = new Map<NodeName, Node>();
  const serviceRanges = createServiceRanges();
  const proven = new Set<number>();
  const planErrors = new Map<ServiceName, Error>();
  const clusterNames = new Map<number, ClusterName>([[options.clusterId, options.cluster]]);
  const placeholders = createPlaceholderRecords({ ...modules, merger, localClusterId: options.clusterId, clusterOf });
  let scratch = emptyScratch();
  let begun = false;

  const realId = (wireId: number): number => (wireId === 0 ? options.clusterId : wireId);

  /** Adds the cluster to the merger if needed; returns its name there, which is the one it was added with. */
  function clusterOf(id: number): ClusterName {
    const cluster = clusterNames.get(id) ?? (`cluster-${id}` as ClusterName);
    clusterNames.set(id, cluster);
    merger.addCluster({ cluster, id: id as ClusterId, local: id === options.clusterId });
    return cluster;
  }

  function upsert(id: number, record: HashedRecord): void {
    const { kind, key, value } = record;
    try {
      if (kind === Kind.KIND_NODE) setNode(id, key, Node.decode(value));
      else if (kind === Kind.KIND_NODE_CONFIG) takeNodeConfig(id, key, NodeConfig.decode(value));
      else noteConfigured(id, kind, merger.upsert(clusterOf(id), kind, key, value));
    } catch (thrown) {
      modules.refuse(id, key, MeshError.from(thrown, `Cannot read record "${key}"`));
    }
  }

  function remove(id: number, { kind, key }: RecordName): void {
    if (kind === Kind.KIND_NODE) setNode(id, key, undefined);
    else noteConfigured(id, kind, merger.remove(clusterOf(id), kind, key));
  }

  function noteConfigured(id: number, kind: Kind, names: readonly ServiceName[]): void {
    if (id !== options.clusterId || kind !== Kind.KIND_SERVICE_CONFIG) return;
    for (const name of names) scratch.configured.add(name);
  }

  function setNode(id: number, key: string, record: Node | undefined): void {
    const short = key.slice(key.indexOf("/") + 1);
    const name = nodeName(id, short);
    if (record === undefined) nodes.delete(name);
    else nodes.set(name, record);
    serviceRanges.setNode(name, record);
    scratch.nodes.set(name, record === undefined ? undefined : desiredNode(id, record, short));
    scratch.routes = true;
  }

  function takeNodeConfig(id: number, key: string, config: NodeConfig): void {
    if (id !== options.clusterId || key !== nodeConfigKey(options.node)) return;
    scratch.nodeConfig = config;
    serviceRanges.setRanges(config.serviceCidrs);
  }

  /** Adds the placeholder records, once: when the local Services are known, from the local source or from disk. */
  function begin(deltas: readonly SourceDelta[]): void {
    if (begun || deltas.length === 0) return;
    const own = deltas.some(({ clusterId }) => clusterId === 0);
    if (!own && modules.localServiceRecords.length === 0) return;
    begun = true;
    if (!own) placeholders.putLocal();
    placeholders.putRemote(proven);
  }

  function removeCluster(id: number): void {
    placeholders.forget(id);
    proven.delete(id);
    const cluster = clusterNames.get(id);
    if (cluster !== undefined) merger.removeCluster(cluster);
    clusterNames.delete(id);
    for (const name of [...nodes.keys()]) {
      if (!name.startsWith(`${id}/`)) continue;
      nodes.delete(name);
      serviceRanges.setNode(name, undefined);
      scratch.nodes.set(name, undefined);
    }
    scratch.sweepNodes.push(id);
    scratch.routes = true;
  }

  /** The cluster is in sync for the first time; it is in `proven` once its records are taken. */
  function turnFirst(id: number, delta: SourceDelta): void {
    placeholders.replace(id, delta.upserts);
    scratch.sweepNodes.push(id);
    scratch.routes = true;
    if (id === options.clusterId) scratch.sweepFrontends = true;
  }

  /** The deltas of each cluster, without those before its removal. */
  function deltasByCluster(deltas: readonly SourceDelta[]): ReadonlyMap<number, readonly SourceDelta[]> {
    const byCluster = new Map<number, SourceDelta[]>();
    for (const delta of deltas) {
      const id = realId(delta.clusterId);
      if (delta.transition === "removed") {
        byCluster.delete(id);
        removeCluster(id);
        continue;
      }
      if (delta.transition === "first") turnFirst(id, delta);
      const own = byCluster.get(id);
      if (own === undefined) byCluster.set(id, [delta]);
      else own.push(delta);
    }
    return byCluster;
  }

  function plan(name: ServiceName, frontends: readonly MergedFrontend[]): readonly FrontendPlan[] {
    planErrors.delete(name);
    return frontends.flatMap((frontend) => {
      const result = planFrontend(frontend);
      if (result.ok) return [result.plan];
      planErrors.set(name, result.error);
      const last = desired.planOf(frontendName(frontend.address, frontend.port, frontend.protocol), name);
      return last === undefined ? [] : [last];
    });
  }

  return {
    nodes,
    serviceRanges,
    clustersInSync: proven,
    get localVerified() {
      return proven.has(options.clusterId);
    },
    planErrors,
    merger,
    name(clusterId, cluster) {
      const id = realId(clusterId);
      if (cluster !== "" && !clusterNames.has(id)) clusterNames.set(id, cluster as ClusterName);
    },
    *take(deltas) {
      const byCluster = deltasByCluster(deltas);
      const groups = inApplyOrder(byCluster);
      let taken = 0;
      for (const { id, updates: ofKind } of groups) {
        for (const update of ofKind) {
          if (++taken % RECORDS_PER_SLICE === 0) yield;
          if (isRecord(update)) upsert(id, update);
        }
      }
      for (const [id, own] of byCluster) if (own.some(({ transition: turn }) => turn === "first")) proven.add(id);
      begin(deltas);
      for (const { id, updates: ofKind } of groups.reverse())
        for (const update of ofKind) if (!isRecord(update)) remove(id, update);
    },
    *flush() {
      const frontends = new Set<FrontendName>();
      for (;;) {
        for (const [name, merged] of merger.flushServices(SERVICES_PER_SLICE)) {
          for (const frontend of desired.setService(name, plan(name, merged))) frontends.add(frontend);
        }
        if (merger.dirty.size === 0) break;
        yield;
      }
      for (const name of scratch.configured) {
        for (const row of desired.setOtherProxy(name, otherProxyAddresses(merger.configs.get(name))))
          frontends.add(row);
      }
      const { configured: _, ...rest } = scratch;
      const changes = { ...rest, frontends };
      scratch = emptyScratch();
      return changes;
    },
  };
}

function emptyScratch(): Scratch {
  return {
    configured: new Set(),
    nodes: new Map(),
    sweepNodes: [],
    sweepFrontends: false,
    nodeConfig: undefined,
    routes: false,
  };
}
