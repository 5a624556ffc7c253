/**
 * What the pinned maps must be: as the object with the programs declares them, with the sizes that are configured. A
 * pinned map that differs belongs to other software or has another layout, and is refused, because its content cannot
 * be read.
 */
import { MeshError } from "@isthmus/model";
import type { DatapathError } from "./errors.js";
import { MAP_NAMES, type MapKey } from "./gen/index.js";
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
const SIZED: Partial<Readonly<Record<MapKey, keyof MapSizes>>> = {
  frontends: "frontends",
  services: "services",
  backends: "backends",
  nodeState: "nodes",
  nodes: "nodes",
  udpSticky: "udp",
  udpReverse: "udp",
};

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

export type MapSpecs = Readonly<Record<MapKey, MapSpec>>;

/** The pinned maps as an object declares them, by name, with these sizes. Throws when it lacks one. */
export function mapSpecs(declared: Readonly<Record<string, MapSpec>>, sizes: Partial<MapSizes>): MapSpecs {
  const specs = mapKeys().map((noun) => {
    const spec = declared[MAP_NAMES[noun]];
    if (spec === undefined) throw new Error(`Cannot find map "${MAP_NAMES[noun]}" in the object`);
    return [noun, { ...spec, maxEntries: sizeOf(noun, sizes) ?? spec.maxEntries }] as const;
  });
  return Object.fromEntries(specs) as Record<MapKey, MapSpec>;
}

export function mapKeys(): readonly MapKey[] {
  return Object.keys(MAP_NAMES) as MapKey[];
}

/** The configured number of entries, or undefined. */
export function sizeOf(noun: MapKey, sizes: Partial<MapSizes>): number | undefined {
  const size = SIZED[noun];
  return size && sizes[size];
}

/** What the maps in this map of maps are. */
export function innerSpec(specs: MapSpecs, noun: MapKey): MapSpec {
  const { inner } = specs[noun];
  if (inner === undefined) throw new Error(`Cannot create a map in "${MAP_NAMES[noun]}": it is no map of maps`);
  return inner;
}

/** Throws `MAP_LAYOUT` when a pinned map differs from what this version would create. */
export function checkLayout(noun: MapKey, path: string, want: MapSpec, have: MapInfo): void {
  const same =
    have.type === want.type &&
    have.keySize === want.keySize &&
    have.valueSize === want.valueSize &&
    have.flags === want.flags &&
    (SIZED[noun] !== undefined || have.maxEntries === want.maxEntries);
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
