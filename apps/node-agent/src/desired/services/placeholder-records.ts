/**
 * Placeholder records of a cluster until its source is in sync: its backends of each Service as the kernel serves them.
 *
 * They are merged like other records, and removed when the source is in sync.
 */
import type { ServiceMerger } from "@isthmus/clustermesh";
import type { ClusterName } from "@isthmus/model";
import { Kind } from "@isthmus/proto";
import type { HashedRecord } from "@isthmus/records";
import { recordsFromKernel, type ServedFrontends } from "./records-from-kernel.js";

/** What is known at the start without any source. */
export interface KernelFacts {
  /** Clusters that had a backend in the kernel. */
  readonly servedClusters: ReadonlySet<number>;
  /** What the kernel served; called at most once, and only if some source is not in sync yet. */
  readonly served: () => ServedFrontends;
  /**
   * Services and ServiceConfigs of the local cluster as of exactly its floor, from disk: with them a remote source that
   * is in sync before the local one can be applied. They name the Services of frontends; the backends come from the
   * kernel.
   */
  readonly localServiceRecords: readonly HashedRecord[];
}

export interface PlaceholderModules extends KernelFacts {
  /** Gets placeholder records like any others; its views name the local Services. */
  readonly merger: ServiceMerger;
  /** Real id of the local cluster. */
  readonly localClusterId: number;
  /** Adds a cluster to the merger if needed; returns its name there. */
  readonly clusterOf: (id: number) => ClusterName;
}

export interface PlaceholderRecords {
  /** Adds placeholders for the remote clusters that are not in sync; the local Services must be known. */
  putRemote(inSync: ReadonlySet<number>): void;
  /** Adds placeholders for the local cluster: its Services from disk, its backends as the kernel serves them. */
  putLocal(): void;
  /** The source is in sync: removes the placeholders that its records do not replace. */
  replace(id: number, records: readonly HashedRecord[]): void;
  /**
   * The operator removed the cluster: it gets no placeholders any more; if it is added again, only its own records
   * count.
   */
  forget(id: number): void;
}

/** Adds nothing, and reads nothing from the kernel, before the first call. */
export function createPlaceholderRecords(modules: PlaceholderModules): PlaceholderRecords {
  const { merger, localClusterId, clusterOf } = modules;
  const byCluster = new Map<number, readonly HashedRecord[]>();
  const removed = new Set<number>();
  let read: ServedFrontends | undefined;

  function sharesOf(id: number): readonly HashedRecord[] {
    read ??= modules.served();
    const served = read;
    const services = [...(merger.views.get(clusterOf(localClusterId))?.services ?? [])];
    return services.flatMap(([name, service]) => recordsFromKernel(served, id, name, service));
  }

  function put(id: number, records: readonly HashedRecord[]): void {
    for (const { kind, key, value } of records) merger.upsert(clusterOf(id), kind, key, value);
    byCluster.set(id, [...(byCluster.get(id) ?? []), ...records]);
  }

  return {
    putRemote(inSync) {
      for (const id of modules.servedClusters) {
        if (id === localClusterId || inSync.has(id) || removed.has(id)) continue;
        // A cluster with records was restored from disk, so it had no floor: the kernel holds nothing from this source.
        if ((merger.views.get(clusterOf(id))?.services.size ?? 0) === 0) put(id, sharesOf(id));
      }
    },
    putLocal() {
      put(localClusterId, modules.localServiceRecords);
      put(
        localClusterId,
        sharesOf(localClusterId).filter(({ kind }) => kind === Kind.KIND_SLICE),
      );
    },
    replace(id, records) {
      const placeholders = byCluster.get(id);
      if (placeholders === undefined) return;
      const named = new Set(records.map(({ key }) => key));
      for (const { kind, key } of placeholders) if (!named.has(key)) merger.remove(clusterOf(id), kind, key);
      byCluster.delete(id);
    },
    forget(id) {
      byCluster.delete(id);
      removed.add(id);
    },
  };
}
