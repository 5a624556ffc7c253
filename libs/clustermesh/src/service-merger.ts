/**
 * The table of all Services, updated record by record.
 *
 * ```
 *   upsert / remove (cluster, kind, key) ──► dirty names ──► flush() merges only those ──► table
 * ```
 * A change only marks its Service as dirty; `flush` does the work, proportional to the number of dirty Services.
 */
import type { ClusterName, ServiceName } from "@isthmus/model";
import { Kind, ServiceConfig } from "@isthmus/proto";
import { type ClusterOptions, type ClusterState, createClusterState } from "./cluster-state.js";
import { mergeFrom } from "./merge-service.js";
import { parseServiceKey } from "./service-key.js";
import type { ClusterView, MergedFrontend, ServiceConfigs, ServiceTable } from "./types.js";

export interface ServiceMerger {
  /** All clusters that were added, with the records that were stored; not only up to the last flush. */
  readonly views: ReadonlyMap<ClusterName, ClusterView>;
  /** Of the local cluster; those of others are dropped. */
  readonly configs: ServiceConfigs;
  /** As of the last `flush`. */
  readonly table: ServiceTable;
  /** Names that the next `flush` merges again. */
  readonly dirty: ReadonlySet<ServiceName>;
  /** Adds a cluster without records. Does nothing when the cluster is known already. */
  addCluster(options: ClusterOptions): void;
  /** Removes a cluster and all its records. For removal by the operator, never after a lost connection. */
  removeCluster(cluster: ClusterName): void;
  /**
   * Stores a record of a known cluster; returns the names that became dirty. Rethrows decoder errors, changing nothing.
   */
  upsert(cluster: ClusterName, kind: Kind, key: string, value: Uint8Array): readonly ServiceName[];
  /** Forgets a record; returns the names that became dirty. */
  remove(cluster: ClusterName, kind: Kind, key: string): readonly ServiceName[];
  /**
   * Merges the dirty Services, at most `limit` of them. Returns those that have or had frontends; the list of a Service
   * that has none any more is empty.
   */
  flushServices(limit?: number): ServiceTable;
}

/** Without clusters: every name stays without frontends until the local cluster is added. */
export function createServiceMerger(): ServiceMerger {
  const views = new Map<ClusterName, ClusterState>();
  const configs = new Map<ServiceName, ServiceConfig>();
  const table = new Map<ServiceName, readonly MergedFrontend[]>();
  const dirty = new Set<ServiceName>();

  function mark(name: ServiceName | undefined): readonly ServiceName[] {
    if (name === undefined) return [];
    dirty.add(name);
    return [name];
  }

  /**
   * Tiers and reasons list every cluster, so adding or removing a cluster changes all Services of the local cluster.
   */
  function markAll(): void {
    for (const view of views.values()) if (view.local) for (const name of view.services.keys()) dirty.add(name);
    for (const name of table.keys()) dirty.add(name);
  }

  function setConfig(cluster: ClusterName, key: string, config: ServiceConfig | undefined): readonly ServiceName[] {
    const name = parseServiceKey(Kind.KIND_SERVICE_CONFIG, key)?.service;
    if (name === undefined || views.get(cluster)?.local !== true) return [];
    if (config === undefined) configs.delete(name);
    else configs.set(name, config);
    return mark(name);
  }

  return {
    views,
    configs,
    table,
    dirty,
    addCluster(options) {
      if (views.has(options.cluster)) return;
      views.set(options.cluster, createClusterState(options));
      markAll();
    },
    removeCluster(cluster) {
      if (!views.has(cluster)) return;
      markAll();
      if (views.get(cluster)?.local === true) configs.clear();
      views.delete(cluster);
    },
    upsert(cluster, kind, key, value) {
      if (kind === Kind.KIND_SERVICE_CONFIG) return setConfig(cluster, key, ServiceConfig.decode(value));
      return mark(views.get(cluster)?.upsert(kind, key, value));
    },
    remove(cluster, kind, key) {
      if (kind === Kind.KIND_SERVICE_CONFIG) return setConfig(cluster, key, undefined);
      return mark(views.get(cluster)?.remove(kind, key));
    },
    flushServices(limit = Number.POSITIVE_INFINITY) {
      const changed = new Map<ServiceName, readonly MergedFrontend[]>();
      const merge = mergeFrom(views, configs);
      let left = limit;
      for (const name of dirty) {
        if (left-- <= 0) break;
        dirty.delete(name);
        const frontends = merge(name);
        if (frontends.length === 0 && !table.has(name)) continue;
        changed.set(name, frontends);
        if (frontends.length === 0) table.delete(name);
        else table.set(name, frontends);
      }
      return changed;
    },
  };
}
