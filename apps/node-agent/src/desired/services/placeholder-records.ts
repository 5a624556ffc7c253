/**
 * Placeholder records of a cluster until its source is in sync: its backends of each Service as the kernel serves them.
 *
 * They are merged like other records, and removed when the source is in sync.
 */
import type { ServiceMerger } from "@isthmus/clustermesh";
import type { ClusterName } from "@isthmus/model";
import { Kind } from "@isthmus/proto";
import type { HashedRecord } from "@isthmus/records";
import { inSlices, type Slices } from "@isthmus/runtime";
import { recordsFromKernel, type ServedFrontends } from "./records-from-kernel.js";

/** What is known at the start without any source. */
export interface KernelFacts {
  /** Clusters that had a backend in the kernel. */
  readonly servedClusters: ReadonlySet<number>;
  /** Reads what the kernel served; called at most once, and only if some source is not in sync yet. */
  readonly served: () => Slices<ServedFrontends>;
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
  /**
   * Adds placeholders for the remote clusters that are not in sync, by the local Services that are known. `local`: first
   * also for the local cluster, its Services from disk and its backends as the kernel serves them. Called at most once.
   */
  put(options: { readonly local: boolean; readonly inSync: ReadonlySet<number> }): Slices<void>;
  /** The source is in sync: removes the placeholders that its records do not replace. */
  replace(id: number, records: readonly HashedRecord[]): Slices<void>;
  /**
   * The operator removed the cluster: it gets no placeholders any more; if it is added again, only its own records
   * count.
   */
  forget(id: number): void;
}

const SERVICES_PER_SLICE = 8;
const RECORDS_PER_SLICE = 32;

/** Adds nothing, and reads nothing from the kernel, before the first call. */
export function createPlaceholderRecords(modules: PlaceholderModules): PlaceholderRecords {
  const { merger, localClusterId, clusterOf, localServiceRecords } = modules;
  const byCluster = new Map<number, HashedRecord[]>();
  const removed = new Set<number>();

  function* recordsOf(served: ServedFrontends, id: number): Slices<readonly HashedRecord[]> {
    const records: HashedRecord[] = [];
    const services = merger.views.get(clusterOf(localClusterId))?.services ?? [];
    yield* inSlices(services, SERVICES_PER_SLICE, ([name, service]) => {
      records.push(...recordsFromKernel(served, id, name, service));
    });
    return records;
  }

  function* add(id: number, records: readonly HashedRecord[]): Slices<void> {
    const known = byCluster.get(id) ?? [];
    byCluster.set(id, known);
    yield* inSlices(records, RECORDS_PER_SLICE, (record) => {
      merger.upsert(clusterOf(id), record.kind, record.key, record.value);
      known.push(record);
    });
  }

  /** A cluster with records was restored from disk, so it had no floor: the kernel holds nothing from this source. */
  const isEmpty = (id: number): boolean => (merger.views.get(clusterOf(id))?.services.size ?? 0) === 0;

  return {
    *put({ local, inSync }) {
      const remote = [...modules.servedClusters].filter(
        (id) => id !== localClusterId && !inSync.has(id) && !removed.has(id) && isEmpty(id),
      );
      if (!local && remote.length === 0) return;
      const served = yield* modules.served();
      if (local) {
        yield* add(localClusterId, localServiceRecords);
        const own = yield* recordsOf(served, localClusterId);
        yield* add(
          localClusterId,
          own.filter(({ kind }) => kind === Kind.KIND_SLICE),
        );
      }
      for (const id of remote) yield* add(id, yield* recordsOf(served, id));
    },
    *replace(id, records) {
      const placeholders = byCluster.get(id);
      if (placeholders === undefined) return;
      const named = new Set<string>();
      yield* inSlices(records, RECORDS_PER_SLICE, ({ key }) => void named.add(key));
      yield* inSlices(placeholders, RECORDS_PER_SLICE, ({ kind, key }) => {
        if (!named.has(key)) merger.remove(clusterOf(id), kind, key);
      });
      byCluster.delete(id);
    },
    forget(id) {
      byCluster.delete(id);
      removed.add(id);
    },
  };
}
