/**
 * Names, types and sizes of the pinned maps, as declared in bpf/lib/*.h. A pinned map that differs belongs to other
 * software or has another layout, and is refused, because its content cannot be read.
 */
import { MeshError } from "@isthmus/model";
import type { DatapathError } from "./errors.js";
import {
  BackendRow,
  FloorRow,
  FrontendKey,
  FrontendRow,
  Limit,
  NodeRow,
  ServiceRangeRow,
  ServiceRow,
  SockRow,
  TableLine,
  TcpOrigDstRow,
  UdpReverseKey,
  UdpReverseRow,
  UdpStickyKey,
  UdpStickyRow,
} from "./gen/index.js";
import { MapFlag, MapType } from "./kernel-constants.js";
import type { MapInfo } from "./native.js";

/** Number of entries of maps with a configurable size. Used when a map is created; an existing map keeps its size. */
export interface MapSizes {
  readonly frontends: number;
  readonly services: number;
  readonly backends: number;
  readonly nodes: number;
  /** Rows for unconnected UDP sockets, per (socket, VIP) and per (socket, backend). */
  readonly udp: number;
}

export const DEFAULT_SIZES: MapSizes = {
  frontends: 65_536,
  services: 65_536,
  backends: 262_144,
  nodes: 32_768,
  udp: 65_536,
};

export type MapSpec = Omit<MapInfo, "id" | "name">;

export const MAP_NAMES = {
  frontends: "mesh_frontends_v1",
  serviceRanges: "mesh_service_ranges_v2",
  services: "mesh_services_v1",
  tables: "mesh_tables_v1",
  backends: "mesh_backends_v1",
  clusterState: "mesh_cluster_state_v1",
  nodeState: "mesh_node_state_v1",
  nodes: "mesh_nodes_v1",
  floors: "mesh_floors_v1",
  metrics: "mesh_metrics_v1",
  sock: "mesh_sock_v1",
  tcpRecent: "mesh_tcp_recent_v2",
  udpSticky: "mesh_udp_sticky_v2",
  udpReverse: "mesh_udp_reverse_v2",
  udpSenders: "mesh_udp_senders_v1",
} as const;

/**
 * Pins of replaced layouts, which are removed without copying their content: state that programs keep about sockets,
 * and ranges, which the agent writes again once its records are in sync.
 */
export const OBSOLETE_PINS: readonly string[] = [
  "mesh_tcp_recent_v1",
  "mesh_udp_sticky_v1",
  "mesh_udp_reverse_v1",
  "mesh_service_ranges_v1",
];

export type MapKey = keyof typeof MAP_NAMES;

function hash(keySize: number, valueSize: number, maxEntries: number): MapSpec {
  return { type: MapType.Hash, keySize, valueSize, maxEntries, flags: MapFlag.None };
}

function mapped(valueSize: number, maxEntries: number): MapSpec {
  return { type: MapType.Array, keySize: 4, valueSize, maxEntries, flags: MapFlag.Mappable };
}

function storage(valueSize: number): MapSpec {
  return { type: MapType.SkStorage, keySize: 4, valueSize, maxEntries: 0, flags: MapFlag.NoPrealloc };
}

/** One segment of the tables: 65,536 lines of 16 backend ids. */
export const SEGMENT: MapSpec = mapped(TableLine.size, Limit.SegmentLines);

/** The list of ranges of ClusterIPs. */
export const RANGE_LIST: MapSpec = {
  ...mapped(ServiceRangeRow.size, Limit.ServiceRanges),
  flags: MapFlag.None,
};

function mapOfMaps(maxEntries: number): MapSpec {
  return { type: MapType.ArrayOfMaps, keySize: 4, valueSize: 4, maxEntries, flags: MapFlag.None };
}

/** The required properties of each pinned map. */
export function mapSpecs(sizes: MapSizes): Readonly<Record<MapKey, MapSpec>> {
  const lru = (key: number, value: number) => ({ ...hash(key, value, sizes.udp), type: MapType.LruHash });
  return {
    frontends: hash(FrontendKey.size, FrontendRow.size, sizes.frontends),
    serviceRanges: mapOfMaps(1),
    services: mapped(ServiceRow.size, sizes.services),
    tables: mapOfMaps(Limit.Segments),
    backends: mapped(BackendRow.size, sizes.backends),
    clusterState: mapped(4, Limit.Clusters),
    nodeState: mapped(4, sizes.nodes),
    nodes: mapped(NodeRow.size, sizes.nodes),
    floors: mapped(FloorRow.size, Limit.Clusters),
    metrics: { type: MapType.PerCpuArray, keySize: 4, valueSize: 8, maxEntries: Limit.Metrics, flags: MapFlag.None },
    sock: storage(SockRow.size),
    tcpRecent: { ...mapped(TcpOrigDstRow.size, Limit.TcpOrigDst), flags: MapFlag.None },
    udpSticky: lru(UdpStickyKey.size, UdpStickyRow.size),
    udpReverse: lru(UdpReverseKey.size, UdpReverseRow.size),
    udpSenders: storage(4),
  };
}

/** Maps whose number of entries is configurable, so not part of the layout. */
const SIZED: ReadonlySet<MapKey> = new Set([
  "frontends",
  "services",
  "backends",
  "nodeState",
  "nodes",
  "udpSticky",
  "udpReverse",
]);

/** Throws `MAP_LAYOUT` when a pinned map differs from what this version would create. */
export function checkLayout(noun: MapKey, path: string, want: MapSpec, have: MapInfo): void {
  const same =
    have.type === want.type &&
    have.keySize === want.keySize &&
    have.valueSize === want.valueSize &&
    have.flags === want.flags &&
    (SIZED.has(noun) || have.maxEntries === want.maxEntries);
  if (!same) throw layoutError(noun, path, want, have);
}

function layoutError(noun: MapKey, path: string, want: MapSpec, have: MapInfo): DatapathError {
  const text = (spec: MapSpec) =>
    `type ${spec.type}, key ${spec.keySize}, value ${spec.valueSize}, flags ${spec.flags}, entries ${spec.maxEntries}`;
  return new MeshError(
    { code: "MAP_LAYOUT", map: MAP_NAMES[noun], want: text(want), have: text(have) },
    `Cannot use pinned map "${path}": it has ${text(have)} where ${text(want)} is needed; ` +
      `if no other agent needs it, remove the pin and start again`,
  );
}
