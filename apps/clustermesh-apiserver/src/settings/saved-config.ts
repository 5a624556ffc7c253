/**
 * Reads the inputs of a start: mesh-config, the last good values from an annotation of the MeshCluster object, and the ranges of
 * peers and Services that a change must not overlap.
 *
 * The annotation is parsed as strictly as mesh-config. For an object without a usable one (written by an earlier version), name,
 * id and ranges are taken from its spec.
 */
import {
  CONFIG_MAPS,
  isRefusal,
  type KubeClient,
  type KubeConfigMap,
  type KubeServiceCidr,
  MESH_CLUSTERS,
  MESH_PEERS,
  type MeshCluster,
  type MeshPeer,
  SERVICE_CIDRS,
} from "@isthmus/kube";
import {
  type Clock,
  DEFAULT_RESCUE_AFTER,
  MeshError,
  type Prefix,
  parseClusterId,
  parseClusterName,
  parsePrefix,
} from "@isthmus/model";
import { retry } from "@isthmus/runtime";
import type { ReservedRanges } from "./judge-config.js";
import { type ConfigData, type MeshConfig, parseMeshConfig, salvageMeshConfig } from "./mesh-config.js";
import { type Peer, readPeers } from "./peers.js";

export const LAST_GOOD_CONFIG = "mesh.isthmus.io/last-good-config";

export interface ConfigStart {
  /** The ConfigMap; a sentence when it cannot be read; undefined when there is none. */
  readonly map: KubeConfigMap | string | undefined;
  /** All MeshClusters: their annotations have the last good values. */
  readonly clusters: readonly MeshCluster[];
  /** Ranges of the usable MeshPeers. */
  readonly peers: readonly ReservedRanges[];
  /** Ranges of the ServiceCIDR objects, without those that cannot be parsed. */
  readonly services: readonly ReservedRanges[];
}

/** Waits for the Kubernetes API and reports the reason through `onWait`. What the API refuses to list counts as empty. */
export async function readConfigStart(
  { client, namespace, name }: { readonly client: KubeClient; readonly namespace: string; readonly name: string },
  clock: Clock,
  signal: AbortSignal,
  onWait: (sentence: string) => void,
): Promise<ConfigStart> {
  const target = { signal, timeoutMs: 5000 };
  async function read(): Promise<ConfigStart> {
    const [map, clusters, peers, services] = await Promise.all([
      client.get<KubeConfigMap>(CONFIG_MAPS, name, { namespace, ...target }).catch(refusal),
      client.list<MeshCluster>(MESH_CLUSTERS, target).catch(none),
      client.list<MeshPeer>(MESH_PEERS, target).catch(none),
      client.list<KubeServiceCidr>(SERVICE_CIDRS, target).catch(none),
    ]);
    const cidrs = services.flatMap(({ spec }) => spec?.cidrs ?? []).flatMap(prefix);
    return { map, clusters, peers: takenByPeers(readPeers(peers).usable.values()), services: takenByServices(cidrs) };
  }
  const onFailure = (thrown: unknown) => onWait(MeshError.from(thrown).message);
  return retry(read, { minMs: 100, maxMs: 2000, onFailure }, { clock, signal });
}

/** The last good values of the cluster that `data` names, or of the only MeshCluster when it names none. */
export function lastGoodConfig(data: ConfigData | string, clusters: readonly MeshCluster[]): MeshConfig | undefined {
  const name = typeof data === "string" ? undefined : clusterName(data["cluster-name"]?.trim() ?? "");
  const object =
    name === undefined && clusters.length === 1 ? clusters[0] : clusters.find((each) => each.metadata.name === name);
  return object && (fromAnnotation(object) ?? fromSpec(object, data));
}

/** One entry per peer: neither field of mesh-config may overlap its ranges. */
export function takenByPeers(
  peers: Iterable<Pick<Peer, "cluster" | "podCidrs" | "serviceCidrs">>,
): readonly ReservedRanges[] {
  return [...peers].map(({ cluster, podCidrs, serviceCidrs }) => ({
    owner: `MeshPeer "${cluster}"`,
    fields: ["pod-cidrs", "service-cidrs"],
    cidrs: [...podCidrs, ...serviceCidrs],
  }));
}

/** One entry for all: "pod-cidrs" must not overlap them, "service-cidrs" may. */
export function takenByServices(cidrs: readonly Prefix[]): readonly ReservedRanges[] {
  return [{ owner: "this cluster's ServiceCIDR objects", fields: ["pod-cidrs"], cidrs }];
}

function fromAnnotation({ metadata, spec }: MeshCluster): MeshConfig | undefined {
  const text = metadata.annotations?.[LAST_GOOD_CONFIG];
  try {
    const data: unknown = JSON.parse(text ?? "null");
    if (data === null || typeof data !== "object" || !Object.values(data).every((each) => typeof each === "string"))
      return undefined;
    const config = parseMeshConfig(data as ConfigData);
    return config.cluster === metadata.name && config.id === spec.id ? config : undefined;
  } catch {
    return undefined;
  }
}

/** Servers, rescue-after and what is set for policies are not in the spec; they come from mesh-config if those fields can be read. */
function fromSpec({ metadata, spec, status }: MeshCluster, data: ConfigData | string): MeshConfig | undefined {
  try {
    const salvaged = typeof data === "string" ? undefined : salvageMeshConfig(data);
    return {
      cluster: parseClusterName(metadata.name ?? ""),
      id: parseClusterId(spec.id),
      podCidrs: spec.podCIDRs.map(parsePrefix),
      serviceCidrs: spec.serviceCIDRs.map(parsePrefix),
      servers: salvaged?.servers ?? [],
      rescueAfter: salvaged?.rescueAfter ?? DEFAULT_RESCUE_AFTER,
      policyScope: salvaged?.policyScope ?? "local",
      auditMode: salvaged?.auditMode ?? "never",
      ...{ adminServers: status?.adminServers ?? [], adminCa: "" },
    };
  } catch {
    return undefined;
  }
}

function clusterName(text: string): string | undefined {
  try {
    return parseClusterName(text);
  } catch {
    return undefined;
  }
}

function prefix(text: string): Prefix[] {
  try {
    return [parsePrefix(text)];
  } catch {
    return [];
  }
}

function refusal(thrown: unknown): string {
  if (isRefusal(thrown)) return thrown.message;
  throw thrown;
}

function none(thrown: unknown): [] {
  if (isRefusal(thrown)) return [];
  throw thrown;
}
