/**
 * What the pinned maps must be: as the objects declare them, with the sizes that are configured. A pinned map that
 * differs belongs to other software or has another layout, and is refused, because its content cannot be read.
 */
import { MeshError } from "@isthmus/model";
import type { DatapathError } from "./errors.js";
import { convertFloor } from "./floor.js";
import { FloorRowV1, Limit, MAP_NAMES } from "./gen/index.js";
import type { MapInfo, MapSpec } from "./native.js";

/**
 * Number of entries of maps with a configurable size; where one is absent, it is as the object declares. An existing
 * map that is smaller is replaced by a larger one; a larger one keeps its size.
 */
export interface MapSizes {
  /** Most frontends: one for each address, port and protocol of a Service. */
  readonly frontends: number;
  /** Rows of Services; row 0 stays empty. */
  readonly services: number;
  /** Rows of backends; row 0 stays empty. */
  readonly backends: number;
  /** Rows of nodes, and of their rank words. */
  readonly nodes: number;
  /** Rows for unconnected UDP sockets, per (socket, VIP) and per (socket, backend). */
  readonly udp: number;
  /** Mode `packets`: rows for flows, a power of two at least. Flows of a node whose table grows are picked up anew. */
  readonly flows: number;
  /** Mode `packets`: addresses of pods on the node; row 0 stays empty. */
  readonly pods: number;
  /** Mode `packets`: pod ranges of all nodes of all clusters. */
  readonly ranges: number;
  /** Mode `packets`: addresses of pods and nodes of all clusters, for their identities. */
  readonly addresses: number;
  /** Mode `packets`: prefixes whose addresses have identities. */
  readonly prefixes: number;
  /** Mode `packets`: policy sets, which pods with the same policies share; row 0 is no set. */
  readonly sets: number;
  /** Mode `packets`: what policy sets say of identities, a row for each of both. */
  readonly peers: number;
  /** Mode `packets`: what policies say of protocols and ports; equal ones share their rows. */
  readonly ports: number;
  /** Mode `packets`: bytes of the ring buffer of events, a power of two. */
  readonly events: number;
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
  [MAP_NAMES.conntrack, "flows"],
  [MAP_NAMES.flowBodies, "flows"],
  [MAP_NAMES.endpoints, "pods"],
  [MAP_NAMES.endpointIndex, "pods"],
  [MAP_NAMES.podRanges, "ranges"],
  [MAP_NAMES.ipcache, "addresses"],
  [MAP_NAMES.ipcachePrefixes, "prefixes"],
  [MAP_NAMES.policySets, "sets"],
  [MAP_NAMES.policyPeers, "peers"],
  [MAP_NAMES.policyPorts, "ports"],
  [MAP_NAMES.events, "events"],
]);

/** Maps of which an entry has room for several of what the size counts; their number of entries is a power of two. */
const PER_ENTRY: ReadonlyMap<string, number> = new Map([
  [MAP_NAMES.conntrack, Limit.FlowSet],
  [MAP_NAMES.flowBodies, Limit.FlowSet],
]);

/**
 * Maps that begin empty when they grow. Of flows, what stands where depends on the size, and is made again as packets
 * come; events that were not read yet are lost.
 */
const NOT_COPIED: ReadonlySet<string> = new Set([MAP_NAMES.conntrack, MAP_NAMES.flowBodies, MAP_NAMES.events]);

/** Sized maps to which programs write too. */
const WRITTEN_BY_PROGRAMS: ReadonlySet<string> = new Set([MAP_NAMES.udpSticky, MAP_NAMES.udpReverse]);

export const SIZE_NAMES: readonly (keyof MapSizes)[] = [...new Set(SIZED.values())];

/** Row 0 of the arrays stays empty, and a backend id has 24 bits for its row. */
const ENTRIES = { min: 16, max: 1 << 24 };
/** The kernel takes a power of two of whole pages, which have up to 64 KiB. */
const RING_BYTES = { min: 1 << 16, max: 1 << 28 };

/** Says what to write instead of a size that makes no sense; undefined: it does. */
export function sizeProblem(size: keyof MapSizes, value: number): string | undefined {
  const { min, max } = size === "events" ? RING_BYTES : ENTRIES;
  const isInRange = value >= min && value <= max;
  if (size !== "events") return isInRange ? undefined : `write a number from ${min} to ${max}`;
  return isInRange && (value & (value - 1)) === 0 ? undefined : `write a power of two from ${min} to ${max}, in bytes`;
}

/** A map's layout before the one of now, whose rows are kept. */
export interface OlderLayout {
  /** Name of the map, and of its pin. */
  readonly name: string;
  /** Size of its rows in bytes. */
  readonly valueSize: number;
  /** Makes a row of the layout of now from one of `valueSize` bytes. */
  readonly convert: (row: Uint8Array) => Uint8Array;
}

/**
 * Older layouts whose content is taken over, by the name of the map of now. While the older pin exists it is newer than
 * the other one: an agent of this version removes it once the new map is whole, so one of the version before made it
 * after that.
 */
const OLDER_LAYOUTS: ReadonlyMap<string, OlderLayout> = new Map([
  [MAP_NAMES.floors, { name: "mesh_floors_v1", valueSize: FloorRowV1.size, convert: convertFloor }],
]);

/**
 * Pins of replaced layouts whose content is not taken over: state that programs keep about sockets, flows, which are
 * picked up, and ranges, which the agent writes again once its records are in sync.
 */
const DROPPED_PINS = [
  "mesh_tcp_recent_v1",
  "mesh_udp_sticky_v1",
  "mesh_udp_reverse_v1",
  "mesh_service_ranges_v1",
  "mesh_conntrack_v1",
];

/** The pins to remove once every program uses the maps of this version. */
export function obsoletePins(): readonly string[] {
  return [...DROPPED_PINS, ...[...OLDER_LAYOUTS.values()].map(({ name }) => name)];
}

/** `name`: of the map of now. Undefined: its layout never changed, or its content is not taken over. */
export function olderLayout(name: string): OlderLayout | undefined {
  return OLDER_LAYOUTS.get(name);
}

/** Do programs write rows of the map, so that it changes while the agent copies it? */
export function isWrittenByPrograms(name: string): boolean {
  return WRITTEN_BY_PROGRAMS.has(name);
}

/** Names of the maps that have this size. */
export function mapsOfSize(size: keyof MapSizes): readonly string[] {
  return [...SIZED].flatMap(([name, of]) => (of === size ? [name] : []));
}

/** The sizes that maps of so many entries have; `entriesOf` undefined: there is no such map. */
export function sizesOf(entriesOf: (map: string) => number | undefined): Partial<MapSizes> {
  const sizes = SIZE_NAMES.flatMap((size) => {
    const rooms = mapsOfSize(size).flatMap((name) => {
      const entries = entriesOf(name);
      return entries === undefined ? [] : [roomOf(name, entries)];
    });
    return rooms.length === 0 ? [] : [[size, Math.min(...rooms)]];
  });
  return Object.fromEntries(sizes);
}

/** How many of what its size counts are in a map of so many entries. */
export function roomOf(name: string, entries: number): number {
  return entries * (PER_ENTRY.get(name) ?? 1);
}

/** The configured number of entries of the map of this name, or undefined. */
export function sizeOf(name: string, sizes: Partial<MapSizes>): number | undefined {
  const size = SIZED.get(name);
  const room = size && sizes[size];
  const perEntry = PER_ENTRY.get(name);
  return room === undefined || perEntry === undefined ? room : 2 ** Math.ceil(Math.log2(room / perEntry));
}

/** Does the map begin empty when it grows? */
export function beginsEmpty(name: string): boolean {
  return NOT_COPIED.has(name);
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
