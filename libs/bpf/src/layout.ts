/**
 * What the pinned maps must be: as the objects declare them, with the sizes that are configured. A pinned map that
 * differs belongs to other software or has another layout, and is refused, because its content cannot be read.
 */
import { MeshError } from "@isthmus/model";
import type { DatapathError } from "./errors.js";
import { MAP_NAMES } from "./gen/index.js";
import type { MapInfo, MapSpec } from "./native.js";

/**
 * Number of entries of maps with a configurable size; where one is absent, it is as the object declares. Used when a
 * map is created; an existing map keeps its size.
 */
export interface MapSizes {
  readonly frontends: number;
  readonly services: number;
  readonly backends: number;
  readonly nodes: number;
  /** Rows for unconnected UDP sockets, per (socket, VIP) and per (socket, backend). */
  readonly udp: number;
}

/** The maps whose size is configurable, and so not part of the layout. */
const SIZED: ReadonlyMap<string, keyof MapSizes> = new Map([
  [MAP_NAMES.frontends, "frontends"],
  [MAP_NAMES.services, "services"],
  [MAP_NAMES.backends, "backends"],
  [MAP_NAMES.nodeState, "nodes"],
  [MAP_NAMES.nodes, "nodes"],
  [MAP_NAMES.udpSticky, "udp"],
  [MAP_NAMES.udpReverse, "udp"],
]);

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

/** The configured number of entries of the map of this name, or undefined. */
export function sizeOf(name: string, sizes: Partial<MapSizes>): number | undefined {
  const size = SIZED.get(name);
  return size && sizes[size];
}

/** Throws `MAP_LAYOUT` when a map that is pinned at this path differs from what this version would create. */
export function checkLayout(name: string, path: string, want: MapSpec, have: MapInfo): void {
  const same =
    have.type === want.type &&
    have.keySize === want.keySize &&
    have.valueSize === want.valueSize &&
    have.flags === want.flags &&
    (SIZED.has(name) || have.maxEntries === want.maxEntries);
  if (!same) throw layoutError(name, path, want, have);
}

function layoutError(name: string, path: string, want: MapSpec, have: MapInfo): DatapathError {
  const text = (spec: MapSpec) =>
    `type ${spec.type}, key ${spec.keySize}, value ${spec.valueSize}, flags ${spec.flags}, entries ${spec.maxEntries}`;
  return new MeshError(
    { code: "MAP_LAYOUT", map: name, want: text(want), have: text(have) },
    `Cannot use pinned map "${path}": it has ${text(have)} where ${text(want)} is needed; ` +
      `if no other agent needs it, remove the pin and start again`,
  );
}
