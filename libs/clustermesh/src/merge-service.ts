/**
 * Merges the Services of the same name in all clusters into one, from the view of the local cluster.
 *
 * In: one view per cluster and the local cluster's ServiceConfigs. Out: the frontends of the local Service, ordered by
 * address, port, protocol; none when the local cluster has no such Service. The local object determines global,
 * affinity and rescue-after, the exporter's object determines shared. The work is proportional to the size of the
 * Service, and the result does not depend on the order of the input.
 */
import {
  type Address,
  addressFromBytes,
  type ClusterName,
  DEFAULT_RESCUE_AFTER,
  fromRescueFields,
  isV4,
  type RescueAfter,
  type ServiceName,
} from "@isthmus/model";
import { Affinity, type Port, type Service } from "@isthmus/proto";
import { affinityTiers } from "./affinity-tiers.js";
import { clusterBackends, clusterExclusion, clusterShare, join } from "./cluster-share.js";
import { exclude } from "./exclusions.js";
import type {
  ClusterView,
  ExcludedBackend,
  ExcludedCluster,
  MergedBackend,
  MergedFrontend,
  MergedTier,
  ServiceConfigs,
  ServiceTable,
} from "./types.js";
import { uniqueBackends } from "./unique-backends.js";

export type ClusterViews = ReadonlyMap<ClusterName, ClusterView>;

/** Frontends of one Service; empty when the local cluster does not have it, or it has no ClusterIP (headless). */
export function mergeService(
  name: ServiceName,
  views: ClusterViews,
  configs: ServiceConfigs,
): readonly MergedFrontend[] {
  return mergeFrom(views, configs)(name);
}

/** Merges every Service of the local cluster. */
export function mergeAll(views: ClusterViews, configs: ServiceConfigs): ServiceTable {
  const merge = mergeFrom(views, configs);
  const table = new Map<ServiceName, readonly MergedFrontend[]>();
  for (const name of localView(views)?.services.keys() ?? []) table.set(name, merge(name));
  return table;
}

/**
 * The frontends of one Service with every backend that was left out, and why. The same merge: what decides about a backend gives
 * the reason.
 */
export function explainService(
  name: ServiceName,
  views: ClusterViews,
  configs: ServiceConfigs,
): readonly MergedFrontend[] {
  return mergeFrom(views, configs, { explain: true })(name);
}

/**
 * `mergeService` for many names: computes once what depends only on the clusters. Valid until a cluster is added or
 * removed.
 */
export function mergeFrom(
  views: ClusterViews,
  configs: ServiceConfigs,
  { explain = false }: { readonly explain?: boolean } = {},
): (name: ServiceName) => readonly MergedFrontend[] {
  const local = localView(views);
  if (local === undefined) return () => [];
  const remotes = [...views.values()].filter((view) => !view.local);
  const tiers = new Map<Affinity, readonly (readonly ClusterName[])[]>();
  for (const affinity of [Affinity.AFFINITY_NONE, Affinity.AFFINITY_LOCAL, Affinity.AFFINITY_REMOTE]) {
    tiers.set(affinity, affinityTiers(affinity, local.cluster, views.keys()));
  }
  const localOnly = [[local.cluster]];
  return (name) => {
    const record = local.services.get(name);
    if (record === undefined || record.frontends.length === 0) return NOTHING;
    const config = configs.get(name);
    const global = config?.global ?? false;
    const plan: Participants = {
      views,
      keptOut: keptOutOf(name, remotes, global),
      global,
      tiers: (global ? tiers.get(config?.affinity ?? 0) : undefined) ?? localOnly,
      rescueAfter: config === undefined ? DEFAULT_RESCUE_AFTER : fromRescueFields(config),
      notes: config?.notes ?? NOTHING,
      explain,
    };
    return mergeFrontends(name, record, plan);
  };
}

/** Values that all frontends of a Service share. */
interface Participants {
  readonly global: boolean;
  readonly tiers: readonly (readonly ClusterName[])[];
  readonly views: ClusterViews;
  /** The remote clusters that contribute to no frontend. */
  readonly keptOut: readonly ExcludedCluster[];
  readonly rescueAfter: RescueAfter;
  readonly notes: readonly string[];
  /** Frontends name the backends that are left out. */
  readonly explain: boolean;
}

function keptOutOf(name: ServiceName, remotes: readonly ClusterView[], global: boolean): readonly ExcludedCluster[] {
  if (remotes.length === 0) return NOTHING;
  const keptOut: ExcludedCluster[] = [];
  for (const view of remotes) {
    const exclusion = clusterExclusion(view, name, global);
    if (exclusion !== undefined) keptOut.push({ cluster: view.cluster, reason: exclusion.reason });
  }
  return keptOut;
}

/** The view of a cluster that may contribute; else undefined. */
function participant(name: ServiceName, cluster: ClusterName, plan: Participants): ClusterView | undefined {
  const view = plan.views.get(cluster);
  if (view === undefined || view.local) return view;
  return clusterExclusion(view, name, plan.global) === undefined ? view : undefined;
}

/** The backends of clusters that may not contribute. */
function excludedWithCluster(service: ServiceName, port: Port, { views, global }: Participants): ExcludedBackend[] {
  const excluded: ExcludedBackend[] = [];
  for (const view of views.values()) {
    const exclusion = view.local ? undefined : clusterExclusion(view, service, global);
    if (exclusion !== undefined) exclude(excluded, clusterBackends(view, service, port), exclusion);
  }
  return excluded;
}

/** Makes a frontend of each address and port, sorted. */
function mergeFrontends(name: ServiceName, record: Service, plan: Participants): readonly MergedFrontend[] {
  const merged: MergedFrontend[] = [];
  const ports = sorted(record.ports, (a, b) => a.port - b.port || a.protocol - b.protocol);
  for (const bytes of sorted(record.frontends, Buffer.compare)) {
    if (bytes.length !== 16) continue;
    const address = addressFromBytes(bytes);
    for (const port of ports) merged.push(mergeFrontend(name, address, port, plan));
  }
  return merged;
}

function mergeFrontend(service: ServiceName, address: Address, port: Port, plan: Participants): MergedFrontend {
  const v4 = isV4(address);
  const keptOut = [...plan.keptOut];
  const limitNotes: string[] = [];
  const excludedBackends = plan.explain ? excludedWithCluster(service, port, plan) : undefined;
  const tiers: MergedTier[] = [];
  for (const clusters of plan.tiers) {
    const shares: (readonly MergedBackend[])[] = [];
    for (const cluster of clusters) {
      const view = participant(service, cluster, plan);
      if (view === undefined) continue;
      const share = clusterShare(view, service, port, v4, excludedBackends);
      if (share.reason !== undefined && !view.local) keptOut.push({ cluster, reason: share.reason });
      if (share.note !== undefined) limitNotes.push(share.note);
      if (share.backends.length > 0) shares.push(share.backends);
    }
    tiers.push({ clusters, backends: join(shares) });
  }
  return {
    service,
    address,
    port: port.port,
    protocol: port.protocol,
    portName: port.name,
    global: plan.global,
    rescueAfter: plan.rescueAfter,
    tiers: uniqueBackends(tiers, excludedBackends),
    excluded: sorted(keptOut, (a, b) => (a.cluster < b.cluster ? -1 : 1)),
    notes: limitNotes.length === 0 ? plan.notes : [...plan.notes, ...limitNotes.sort()],
    ...(excludedBackends && { excludedBackends }),
  };
}

const NOTHING: readonly never[] = [];

/** Nearly always there is at most one item, which needs no sorting. */
function sorted<T>(items: readonly T[], compare: (a: T, b: T) => number): readonly T[] {
  return items.length < 2 ? items : [...items].sort(compare);
}

function localView(views: ClusterViews): ClusterView | undefined {
  for (const view of views.values()) if (view.local) return view;
  return undefined;
}
