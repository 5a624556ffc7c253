/**
 * Records that stand in for a cluster until its source is in sync: its share of each Service as the kernel serves it.
 *
 * They go into the merge like any other record, and leave it when the source speaks for itself.
 */
import type { ServiceMerger } from "@isthmus/clustermesh";
import type { ClusterName } from "@isthmus/model";
import { Kind } from "@isthmus/proto";
import type { HashedRecord } from "@isthmus/records";
import type { ServedFrontends } from "../datapath/read-services.js";
import { recordsFromKernel } from "./records-from-kernel.js";

/** What is known at the start without any source. */
export interface KernelFacts {
  /** Clusters that had a backend in the kernel. */
  readonly servedClusters: ReadonlySet<number>;
  /** What the kernel served; asked for at most once, and only if some source is not in sync yet. */
  readonly served: () => ServedFrontends;
  /**
   * Services and ServiceConfigs of the local cluster as of exactly its floor, from disk: with them a remote source that is
   * in sync before the own one can be applied. They name what the kernel serves; they never say who serves it.
   */
  readonly ownNames: readonly HashedRecord[];
}

export interface PlaceholderModules extends KernelFacts {
  readonly merger: ServiceMerger;
  /** Real id of the local cluster. */
  readonly own: number;
  /** Makes a cluster known to the merge. */
  readonly clusterOf: (id: number) => ClusterName;
}

export interface PlaceholderRecords {
  /** For the clusters that are not in sync; the local Services must be known. */
  putRemote(inSync: ReadonlySet<number>): void;
  /** For the local cluster: its Services by the names on disk, its backends as the kernel serves them. */
  putLocal(): void;
  /** The source is in sync: what it does not name goes. */
  replace(id: number, records: readonly HashedRecord[]): void;
  /** The operator took the cluster away: nothing stands in for it, unless it comes back and speaks for itself. */
  forget(id: number): void;
}

export function createPlaceholderRecords(modules: PlaceholderModules): PlaceholderRecords {
  const { merger, own, clusterOf } = modules;
  const placed = new Map<number, readonly HashedRecord[]>();
  const removed = new Set<number>();
  let read: ServedFrontends | undefined;

  function sharesOf(id: number): readonly HashedRecord[] {
    read ??= modules.served();
    const served = read;
    const services = [...(merger.views.get(clusterOf(own))?.services ?? [])];
    return services.flatMap(([name, service]) => recordsFromKernel(served, id, name, service));
  }

  function put(id: number, records: readonly HashedRecord[]): void {
    for (const { kind, key, value } of records) merger.upsert(clusterOf(id), kind, key, value);
    placed.set(id, [...(placed.get(id) ?? []), ...records]);
  }

  return {
    putRemote(inSync) {
      for (const id of modules.servedClusters) {
        if (id === own || inSync.has(id) || removed.has(id)) continue;
        // Records from disk: then there was no floor, so what the kernel has is not this source's.
        if ((merger.views.get(clusterOf(id))?.services.size ?? 0) === 0) put(id, sharesOf(id));
      }
    },
    putLocal() {
      put(own, modules.ownNames);
      put(
        own,
        sharesOf(own).filter(({ kind }) => kind === Kind.KIND_SLICE),
      );
    },
    replace(id, records) {
      const standing = placed.get(id);
      if (standing === undefined) return;
      const named = new Set(records.map(({ key }) => key));
      for (const { kind, key } of standing) if (!named.has(key)) merger.remove(clusterOf(id), kind, key);
      placed.delete(id);
    },
    forget(id) {
      placed.delete(id);
      removed.add(id);
    },
  };
}
