/**
 * Makes one Service out of many: what every cluster exports of it, seen from this cluster.
 *
 * In: one view per cluster and this cluster's ServiceConfigs. Out: the frontends of the local Service, in the order of
 * address, port, protocol; none when this cluster has no such Service. The local object governs global and affinity, the
 * exporter's object governs shared. Work is proportional to the Service; equal inputs give equal output in any order.
 */
import { type Address, addressFromBytes, type ClusterName, isV4, type ServiceName } from "@isthmus/model";
import type { Port, Service, ServiceConfig } from "@isthmus/proto";
import { affinityTiers } from "./affinity-tiers.js";
import { clusterShare, keptOutEntirely } from "./cluster-share.js";
import type { ClusterView, KeptOut, MergedFrontend, MergedTier, ServiceConfigs, ServiceTable } from "./types.js";
import { uniqueBackends } from "./unique-backends.js";

export type ClusterViews = ReadonlyMap<ClusterName, ClusterView>;

/** Frontends of one Service; empty when the local cluster does not have it, or it has no ClusterIP (headless). */
export function mergeService(
  name: ServiceName,
  views: ClusterViews,
  configs: ServiceConfigs,
): readonly MergedFrontend[] {
  const local = localView(views);
  const record = local?.services.get(name);
  if (local === undefined || record === undefined || record.frontends.length === 0) return [];
  const plan = participants(name, local, views, configs.get(name));
  return dialled(record).map(({ address, port }) => mergeFrontend(name, address, port, plan));
}

/** Every Service of the local cluster. */
export function mergeAll(views: ClusterViews, configs: ServiceConfigs): ServiceTable {
  const table = new Map<ServiceName, readonly MergedFrontend[]>();
  for (const name of localView(views)?.services.keys() ?? []) table.set(name, mergeService(name, views, configs));
  return table;
}

/** What is the same for all frontends of a Service. */
interface Participants {
  readonly global: boolean;
  readonly tiers: readonly (readonly ClusterName[])[];
  readonly views: ReadonlyMap<ClusterName, ClusterView>;
  readonly keptOut: readonly KeptOut[];
  readonly notes: readonly string[];
}

function participants(
  name: ServiceName,
  local: ClusterView,
  all: ClusterViews,
  config: ServiceConfig | undefined,
): Participants {
  const global = config?.global ?? false;
  const views = new Map([[local.cluster, local]]);
  const keptOut: KeptOut[] = [];
  for (const view of all.values()) {
    if (view.local) continue;
    const reason = keptOutEntirely(view, name, global);
    if (reason !== undefined) keptOut.push({ cluster: view.cluster, reason });
    else if (global) views.set(view.cluster, view);
  }
  const tiers = global ? affinityTiers(config?.affinity ?? 0, local.cluster, all.keys()) : [[local.cluster]];
  return { global, tiers, views, keptOut, notes: config?.notes ?? [] };
}

function mergeFrontend(service: ServiceName, address: Address, port: Port, plan: Participants): MergedFrontend {
  const v4 = isV4(address);
  const keptOut = [...plan.keptOut];
  const tiers = plan.tiers.map((clusters): MergedTier => {
    const backends = clusters.flatMap((cluster) => {
      const view = plan.views.get(cluster);
      if (view === undefined) return [];
      const share = clusterShare(view, service, port, v4);
      if (share.reason !== undefined && !view.local) keptOut.push({ cluster, reason: share.reason });
      return share.backends;
    });
    return { clusters, backends };
  });
  return {
    service,
    address,
    port: port.port,
    protocol: port.protocol,
    portName: port.name,
    global: plan.global,
    tiers: uniqueBackends(tiers),
    keptOut: keptOut.sort((a, b) => (a.cluster < b.cluster ? -1 : 1)),
    notes: plan.notes,
  };
}

/** Frontend addresses × ports, sorted. */
function dialled(record: Service): readonly { readonly address: Address; readonly port: Port }[] {
  const addresses = record.frontends.filter((bytes) => bytes.length === 16).sort(Buffer.compare);
  const ports = [...record.ports].sort((a, b) => a.port - b.port || a.protocol - b.protocol);
  return addresses.flatMap((bytes) => {
    const address = addressFromBytes(bytes);
    return ports.map((port) => ({ address, port }));
  });
}

function localView(views: ClusterViews): ClusterView | undefined {
  for (const view of views.values()) if (view.local) return view;
  return undefined;
}
