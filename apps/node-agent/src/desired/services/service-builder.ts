/**
 * Builds the desired frontends from the Services, slices and configurations of all clusters: merged, then planned.
 *
 * A Service is merged in one slice. Until a cluster is in sync, placeholder records hold what the kernel serves of it. A
 * frontend that cannot be planned keeps its last plan.
 */
import { createServiceMerger, type MergedFrontend, type ServiceMerger } from "@isthmus/clustermesh";
import { type FrontendPlan, planFrontend } from "@isthmus/loadbalancer";
import type { ClusterId, ClusterName, ServiceName } from "@isthmus/model";
import { Kind, type ServiceConfig } from "@isthmus/proto";
import { inSlices, type Slices } from "@isthmus/runtime";
import type { Builder } from "../records/builder.js";
import type { DesiredState } from "./desired-state.js";
import { type FrontendName, frontendName } from "./frontends.js";
import { createPlaceholderRecords, type KernelFacts } from "./placeholder-records.js";

/** What changed since the last flush. */
export interface ServiceChanges {
  /** Frontends whose row may be another one or gone. */
  readonly frontends: ReadonlySet<FrontendName>;
  /** The local cluster is in sync for the first time: frontends that are not desired can be removed. */
  readonly sweepFrontends: boolean;
}

export interface ServiceBuilderOptions {
  /** Name and real id of the local cluster. */
  readonly cluster: ClusterName;
  /** The real id, not the 0 of the wire. */
  readonly clusterId: ClusterId;
}

export interface ServiceBuilderModules extends KernelFacts {
  /** `flush` writes planned frontends into it; nothing else may. */
  readonly desired: DesiredState;
}

export interface ServiceBuilder extends Builder {
  /** Has the records of Services that were taken, and the placeholder records. */
  readonly merger: ServiceMerger;
  /** Frontends that cannot be planned, by Service. */
  readonly planErrors: ReadonlyMap<ServiceName, Error>;
  /** Sets the name of a cluster, as the servers send it, unless it is known. */
  name(clusterId: number, cluster: string): void;
  /** Merges and plans the Services that changed since the last call, some in each slice. */
  flush(): Slices<ServiceChanges>;
}

const SERVICES_PER_SLICE = 8;
const ADDRESS_BYTES = 16;

/** The local cluster has its name from `options`; another one that `name` did not name is `cluster-<id>`. */
export function createServiceBuilder(options: ServiceBuilderOptions, modules: ServiceBuilderModules): ServiceBuilder {
  const { desired } = modules;
  const merger = createServiceMerger();
  const planErrors = new Map<ServiceName, Error>();
  const clusterNames = new Map<number, ClusterName>([[options.clusterId, options.cluster]]);
  const placeholders = createPlaceholderRecords({ ...modules, merger, localClusterId: options.clusterId, clusterOf });
  /** Local Services whose configuration changed, and with it perhaps the proxy that serves them. */
  const configured = new Set<ServiceName>();
  let sweepFrontends = false;
  let placeholdersPut = false;

  /** Adds the cluster to the merger if needed; returns its name there, which is the one it was added with. */
  function clusterOf(id: number): ClusterName {
    const cluster = clusterNames.get(id) ?? (`cluster-${id}` as ClusterName);
    clusterNames.set(id, cluster);
    merger.addCluster({ cluster, id: id as ClusterId, local: id === options.clusterId });
    return cluster;
  }

  function noteConfigured(id: number, kind: Kind, names: readonly ServiceName[]): void {
    if (id !== options.clusterId || kind !== Kind.KIND_SERVICE_CONFIG) return;
    for (const name of names) configured.add(name);
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
    kinds: [Kind.KIND_SERVICE, Kind.KIND_SLICE, Kind.KIND_SERVICE_CONFIG],
    merger,
    planErrors,
    name(clusterId, cluster) {
      if (cluster !== "" && !clusterNames.has(clusterId)) clusterNames.set(clusterId, cluster as ClusterName);
    },
    upsert: (id, { kind, key, value }) => noteConfigured(id, kind, merger.upsert(clusterOf(id), kind, key, value)),
    remove: (id, { kind, key }) => noteConfigured(id, kind, merger.remove(clusterOf(id), kind, key)),
    *beginSync(id, records) {
      yield* placeholders.replace(id, records);
      if (id === options.clusterId) sweepFrontends = true;
    },
    /** Adds the placeholder records, once: when the local Services are known, from the local source or from disk. */
    *afterUpserts(deltas, clustersInSync) {
      if (placeholdersPut || deltas.length === 0) return;
      const own = deltas.some(({ clusterId }) => clusterId === 0);
      if (!own && modules.localServiceRecords.length === 0) return;
      placeholdersPut = true;
      yield* placeholders.put({ local: !own, inSync: clustersInSync });
    },
    removeCluster(id) {
      placeholders.forget(id);
      const cluster = clusterNames.get(id);
      if (cluster !== undefined) merger.removeCluster(cluster);
      clusterNames.delete(id);
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
      yield* inSlices(configured, SERVICES_PER_SLICE, (name) => {
        const rows = desired.setOtherProxy(name, otherProxyAddresses(merger.configs.get(name)));
        for (const row of rows) frontends.add(row);
      });
      configured.clear();
      const changes = { frontends, sweepFrontends };
      sweepFrontends = false;
      return changes;
    },
  };
}

/** The ClusterIPs that a Service's configuration leaves to another proxy; ignores values that are no address. Pure. */
export function otherProxyAddresses(config: Pick<ServiceConfig, "leftFrontends"> | undefined): readonly Uint8Array[] {
  return (config?.leftFrontends ?? []).filter(({ length }) => length === ADDRESS_BYTES);
}
