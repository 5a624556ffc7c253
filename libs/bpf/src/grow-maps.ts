/**
 * Decides which pinned maps are replaced when a datapath opens: those with fewer entries than configured, and those that
 * are pinned with an older layout. map-growth.ts replaces them.
 */
import { join } from "node:path";
import { openIfThere } from "./attach/pins.js";
import {
  beginsEmpty,
  checkLayout,
  isWrittenByPrograms,
  type MapSizes,
  mapsOfSize,
  type OlderLayout,
  olderLayout,
  roomOf,
  SIZE_NAMES,
  sizeOf,
} from "./layout.js";
import { createMapGrowth, type Replacement } from "./map-growth.js";
import { type Fd, type MapSpec, native } from "./native.js";
import { openingObject } from "./programs.js";

export interface GrowOptions {
  /** Folder in bpffs with the pins. */
  readonly pinFolder: string;
  /** Paths of all objects whose programs will be loaded. */
  readonly objects: readonly string[];
  /** The configured entries of maps; a size that is absent is as the object declares it. */
  readonly sizes: Partial<MapSizes>;
}

export interface GrownMaps {
  /** The configured sizes, or those of the pinned maps where these are larger. */
  readonly sizes: Partial<MapSizes>;
  /** To be called when every link runs the programs that use the new maps: see `MapGrowth`. */
  finish(mapOf: (name: string) => Fd, gracePeriod: () => Promise<void>): Promise<void>;
}

/**
 * Replaces the pinned maps that are too small or of an older layout. Throws `MAP_LAYOUT` for a pin that cannot be taken
 * over, `MAP_IO` when the kernel refuses a size; nothing has changed then.
 */
export async function growMaps({ pinFolder, objects, sizes }: GrowOptions): Promise<GrownMaps> {
  const specs = objects.map((object) => openingObject(object, () => native().objectMaps(object)));
  const declared: Readonly<Record<string, MapSpec>> = Object.assign({}, ...specs);
  const pinned = new Map<string, Fd>();
  const older = new Map<string, Fd>();
  const growth = createMapGrowth(pinFolder);
  try {
    for (const [name, spec] of Object.entries(declared)) {
      openChecked(pinned, name, join(pinFolder, name), spec);
      const before = olderLayout(name);
      if (before !== undefined) openChecked(older, name, join(pinFolder, before.name), olderSpec(spec, before));
    }
    const grown = neverSmaller(sizes, pinned);
    const replacements = Object.entries(declared).flatMap(([name, spec]): Replacement[] => {
      const wanted = { ...spec, maxEntries: sizeOf(name, grown) ?? spec.maxEntries };
      const common = { name, spec: wanted, writtenByPrograms: isWrittenByPrograms(name), empty: beginsEmpty(name) };
      const before = older.get(name);
      if (before !== undefined) return [{ ...common, old: before, convert: olderLayout(name)?.convert }];
      const old = pinned.get(name);
      return old === undefined || native().mapInfo(old).maxEntries >= wanted.maxEntries ? [] : [{ ...common, old }];
    });
    await growth.replace(replacements);
    return { sizes: grown, finish: growth.finish };
  } finally {
    for (const map of [...pinned.values(), ...older.values()]) map.close();
  }
}

/** Opens a pin, if there is one. Throws `MAP_LAYOUT`. */
function openChecked(maps: Map<string, Fd>, name: string, path: string, spec: MapSpec): void {
  const map = openIfThere(path);
  if (map === undefined) return;
  maps.set(name, map);
  checkLayout(name, path, spec, native().mapInfo(map));
}

function olderSpec(spec: MapSpec, { valueSize }: OlderLayout): MapSpec {
  return { ...spec, valueSize };
}

/** Maps of a running node do not shrink. */
function neverSmaller(sizes: Partial<MapSizes>, pinned: ReadonlyMap<string, Fd>): Partial<MapSizes> {
  const larger = SIZE_NAMES.flatMap((size) => {
    const rooms = mapsOfSize(size).flatMap((name) => {
      const map = pinned.get(name);
      return map === undefined ? [] : [roomOf(name, native().mapInfo(map).maxEntries)];
    });
    const configured = sizes[size];
    if (configured !== undefined) rooms.push(configured);
    return rooms.length === 0 ? [] : [[size, Math.max(...rooms)]];
  });
  return Object.fromEntries(larger);
}
