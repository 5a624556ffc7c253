/**
 * The rows of `mesh service list`: every frontend of this cluster with its tiers, counted per cluster.
 *
 * Each request merges the same records that agents get. It yields every 500 records, so that streams continue meanwhile. A
 * record that cannot be read is skipped, as agents skip it.
 */
import { createServiceMerger, type MergedFrontend, type MergedTier } from "@isthmus/clustermesh";
import { MeshError, parseClusterId, printable, toRescueFields } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import {
  Affinity,
  type FrontendReport,
  FrontendState,
  Kind,
  type ListServicesRequest,
  type TierReport,
} from "@isthmus/proto";
import { type FrontendStatus, frontendStatus, parseKey } from "@isthmus/records";
import { nextTurn } from "@isthmus/runtime";
import type { StreamSources } from "../../ports/stream-source.js";
import type { AppliedRecords } from "./applied-records.js";

const KINDS = [Kind.KIND_NODE, Kind.KIND_SERVICE, Kind.KIND_SLICE, Kind.KIND_SERVICE_CONFIG];
const YIELD_EVERY = 500;

export interface ServiceListModules {
  /** All clusters; read while the list is made. */
  readonly sources: StreamSources;
  /** Gets at most one line per list, about records that cannot be read. */
  readonly log: Logger;
  /** On how many nodes each Service is applied; undefined while the nodes are not known. */
  readonly applied?: AppliedRecords | undefined;
}

/** Sorted by Service. `ownId`: id of the local cluster, which is 0 in `sources`. Namespace "": all. */
export async function listServices(
  { sources, log, applied }: ServiceListModules,
  ownId: number,
  request: ListServicesRequest,
): Promise<FrontendReport[]> {
  const merger = createServiceMerger();
  let [count, unreadable] = [0, 0];
  let firstError: MeshError | undefined;
  for (const { clusterId, cluster, index } of sources.all) {
    merger.addCluster({ cluster, id: parseClusterId(clusterId === 0 ? ownId : clusterId), local: clusterId === 0 });
    for (const kind of KINDS) {
      for (const { key, value } of [...index.records(kind)]) {
        if (!inNamespace(key, request.namespace)) continue;
        try {
          merger.upsert(cluster, kind, key, value);
        } catch (thrown) {
          unreadable++;
          firstError ??= MeshError.from(thrown, `Cannot read record "${printable(key)}" of cluster "${cluster}"`);
        }
        if (++count % YIELD_EVERY === 0) await nextTurn();
      }
    }
  }
  // One log line per request, however many records cannot be read.
  if (firstError !== undefined) {
    log.warn("Listed Services without records that cannot be read", { records: unreadable, error: firstError });
  }
  merger.flushServices();
  return [...merger.table]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, frontends]) => {
      const affinity = merger.configs.get(name)?.affinity ?? Affinity.AFFINITY_NONE;
      return frontends.map((frontend) => report(frontend, affinity, applied));
    })
    .filter(({ global }) => global || !request.globalOnly);
}

function inNamespace(key: string, namespace: string): boolean {
  if (namespace === "") return true;
  const parsed = parseKey(key);
  return parsed === undefined || !("service" in parsed) || parsed.service.startsWith(`${namespace}/`);
}

/** One row; without `applied` its state is MERGED, or NO_BACKEND when no tier has a backend that serves. */
export function report(frontend: MergedFrontend, affinity: Affinity, applied?: AppliedRecords): FrontendReport {
  const active = activeTier(frontend.tiers);
  return {
    service: frontend.service,
    address: Buffer.from(frontend.address),
    port: frontend.port,
    protocol: frontend.protocol,
    portName: frontend.portName,
    global: frontend.global,
    affinity,
    ...toRescueFields(frontend.rescueAfter),
    tiers: frontend.tiers.map((tier, i) => tierReport(frontend, tier, i === active)),
    ...statusOf(frontend.service, active !== undefined, applied),
    notes: [...frontend.notes, ...outsideTiers(frontend)],
  };
}

/** Done when all nodes have applied the Service as it is merged here. */
function statusOf(service: string, serves: boolean, applied: AppliedRecords | undefined): FrontendStatus {
  if (!serves) return frontendStatus(FrontendState.FRONTEND_STATE_NO_BACKEND);
  if (applied === undefined) return frontendStatus(FrontendState.FRONTEND_STATE_MERGED);
  const [appliedNodes, nodes] = [applied.on(service), applied.nodes];
  const done = appliedNodes === nodes;
  const state = done ? FrontendState.FRONTEND_STATE_DONE : FrontendState.FRONTEND_STATE_APPLYING;
  return frontendStatus(state, appliedNodes, nodes);
}

/** Notes about clusters that are in no tier because the Service is not global here: users may expect them. */
function outsideTiers({ tiers, excluded }: MergedFrontend): readonly string[] {
  const named = new Set(tiers.flatMap(({ clusters }) => clusters));
  return excluded.filter(({ cluster }) => !named.has(cluster)).map(({ cluster, reason }) => `${cluster}: ${reason}`);
}

/** Index of the first tier with a ready backend, else of the first with a serving one. */
function activeTier(tiers: readonly MergedTier[]): number | undefined {
  for (const counts of ["ready", "serving"] as const) {
    const at = tiers.findIndex(({ backends }) => backends.some((backend) => backend[counts]));
    if (at !== -1) return at;
  }
  return undefined;
}

function tierReport(frontend: MergedFrontend, tier: MergedTier, active: boolean): TierReport {
  const clusters = tier.clusters.map((cluster) => {
    const backends = tier.backends.filter((backend) => backend.cluster === cluster);
    return {
      cluster,
      ready: backends.filter(({ ready }) => ready).length,
      serving: backends.filter(({ ready, serving }) => !ready && serving).length,
      total: backends.length,
      keptOut: frontend.excluded.find((out) => out.cluster === cluster)?.reason ?? "",
    };
  });
  return { clusters, active };
}
