/**
 * Makes one Service out of many: what every cluster exports of it, seen from this cluster.
 *
 * In: one view per cluster and this cluster's ServiceConfigs. Out: the frontends of the local Service, in the order of
 * address, port, protocol; none when this cluster has no such Service. The local object governs global and affinity, the
 * exporter's object governs shared. Work is proportional to the Service; equal inputs give equal output in any order.
 */
import { type Address, addressFromBytes, type ClusterName, isV4, type ServiceName } from "@isthmus/model";
import { Affinity, type Port, type Service } from "@isthmus/proto";
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
  return mergeFrom(views, configs)(name);
}

/** Every Service of the local cluster. */
export function mergeAll(views: ClusterViews, configs: ServiceConfigs): ServiceTable {
  const merge = mergeFrom(views, configs);
  const table = new Map<ServiceName, readonly MergedFrontend[]>();
  for (const name of localView(views)?.services.keys() ?? []) table.set(name, merge(name));
  return table;
}

/** A `mergeService` for many names: what depends on the clusters alone is found once. Valid until a cluster comes or goes. */
export function mergeFrom(
  views: ClusterViews,
  configs: ServiceConfigs,
): (name: ServiceName) => readonly MergedFrontend[] {
  const local = localView(views);
  if (local === undefined) return () => [];
  const remotes = [...views.values()].filter((view) => !view.local);
  const tiers = new Map<Affinity, readonly (readonly ClusterName[])[]>();
  for (const affinity of [Affinity.AFFINITY_NONE, Affinity.AFFINITY_LOCAL, Affinity.AFFINITY_REMOTE]) {
    tiers.set(affinity, affinityTiers(affinity, local.cluster, views.keys()));
  }
  return (name) => {
    const record = local.services.get(name);
    if (record === undefined || record.frontends.length === 0) return [];
    const config = configs.get(name);
    const global = config?.global ?? false;
    const plan: Participants = {
      ...admit(name, remotes, global),
      global,
      local,
      tiers: (global ? tiers.get(config?.affinity ?? 0) : undefined) ?? [[local.cluster]],
      notes: config?.notes ?? [],
    };
    return dialled(record).map(({ address, port }) => mergeFrontend(name, address, port, plan));
  };
}

/** What is the same for all frontends of a Service. */
interface Participants {
  readonly global: boolean;
  readonly tiers: readonly (readonly ClusterName[])[];
  readonly local: ClusterView;
  readonly remotes: ReadonlyMap<ClusterName, ClusterView>;
  readonly keptOut: readonly KeptOut[];
  readonly notes: readonly string[];
}

/** Which remote clusters take part, and why the others do not. */
function admit(
  name: ServiceName,
  remotes: readonly ClusterView[],
  global: boolean,
): Pick<Participants, "remotes" | "keptOut"> {
  const admitted = new Map<ClusterName, ClusterView>();
  const keptOut: KeptOut[] = [];
  for (const view of remotes) {
    const reason = keptOutEntirely(view, name, global);
    if (reason !== undefined) keptOut.push({ cluster: view.cluster, reason });
    else if (global) admitted.set(view.cluster, view);
  }
  return { remotes: admitted, keptOut };
}

function mergeFrontend(service: ServiceName, address: Address, port: Port, plan: Participants): MergedFrontend {
  const v4 = isV4(address);
  const keptOut = [...plan.keptOut];
  const tiers = plan.tiers.map((clusters): MergedTier => {
    const backends = clusters.flatMap((cluster) => {
      const view = cluster === plan.local.cluster ? plan.local : plan.remotes.get(cluster);
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
