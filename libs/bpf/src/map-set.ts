/**
 * The maps of a node: opened once, and shared by every object whose programs are loaded onto them.
 *
 * Maps are known by their names. All objects that declare a name use one map, which must be as each of them declares it.
 * A map is pinned under its name, so that it outlives the process; the next set on the same folder adopts it.
 */
import { join } from "node:path";
import { openIfThere } from "./attach/pins.js";
import { checkLayout, type MapSizes, sizeOf } from "./layout.js";
import { type Fd, type MapSpec, native } from "./native.js";
import { openingObject } from "./programs.js";

export interface MapSetOptions {
  /** Folder in bpffs with the pins. */
  readonly pinFolder: string;
  /** Paths of all objects whose programs will be loaded. */
  readonly objects: readonly string[];
  /** Entries of maps; a size that is absent is as the object declares it. */
  readonly sizes?: Partial<MapSizes>;
}

export interface MapSet {
  /** The open map of this name. Throws when no object declares it. */
  map(name: string): Fd;
  /** What the maps in this map of maps are. Throws for a map that is none. */
  innerSpec(name: string): MapSpec;
  /** Closes the handles; maps and pins stay. */
  close(): void;
}

/**
 * Adopts the maps that are pinned; creates and pins the others. Throws `PROGRAM_LOAD` when an object cannot be read or
 * its maps not be created, `MAP_LAYOUT` when a pinned map, or one that another object declared, is of another layout.
 */
export function openMapSet({ pinFolder, objects, sizes = {} }: MapSetOptions): MapSet {
  const maps = new Map<string, Fd>();
  const specs = new Map<string, MapSpec>();

  function close(): void {
    for (const map of maps.values()) map.close();
  }

  function add(object: string): void {
    const declared = openingObject(object, () => native().objectMaps(object));
    const [reuse, maxEntries]: [Record<string, Fd>, Record<string, number>] = [{}, {}];
    for (const [name, spec] of Object.entries(declared)) {
      const wanted = { ...spec, maxEntries: sizeOf(name, sizes) ?? spec.maxEntries };
      const path = join(pinFolder, name);
      const map = maps.get(name) ?? openIfThere(path);
      specs.set(name, spec);
      if (map === undefined) maxEntries[name] = wanted.maxEntries;
      else {
        maps.set(name, map);
        reuse[name] = map;
        checkLayout(name, path, wanted, native().mapInfo(map));
      }
    }
    if (Object.keys(maxEntries).length > 0) create(object, reuse, maxEntries);
  }

  /** Creates the maps of an object that are not reused, and pins them. */
  function create(object: string, reuse: Record<string, Fd>, maxEntries: Record<string, number>): void {
    const options = { reuse, maxEntries, programs: [] };
    const all = openingObject(object, () => native().loadObject(object, options)).maps;
    for (const [name, map] of Object.entries(all)) {
      if (reuse[name] === undefined) {
        native().pin(map, join(pinFolder, name));
        maps.set(name, map);
      } else map.close();
    }
  }

  try {
    for (const object of objects) add(object);
  } catch (error) {
    close();
    throw error;
  }
  return {
    map: (name) => found(maps.get(name), name),
    innerSpec: (name) => found(specs.get(name)?.inner, name),
    close,
  };
}

function found<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Error(`Cannot find map "${name}" in the objects of the map set`);
  return value;
}
