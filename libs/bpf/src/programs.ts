/** Loads a BPF object with the existing pinned maps, and pins the maps that it creates. */
import { join } from "node:path";
import { MeshError } from "@isthmus/model";
import { openIfThere } from "./attach/pins.js";
import { detailOf, errnoOf } from "./errors.js";
import { DatapathConfig, MAP_NAMES, type MapKey } from "./gen/index.js";
import { checkLayout, type MapSizes, type MapSpecs, mapKeys, mapSpecs, sizeOf } from "./layout.js";
import { type Fd, type LoadedObject, native } from "./native.js";

export interface LoadedPrograms {
  readonly programs: LoadedObject["programs"];
  readonly maps: Readonly<Record<MapKey, Fd>>;
  /** What the object declares of the maps, with the given sizes. */
  readonly specs: MapSpecs;
}

/** Loads the programs of `object` with the pinned maps; maps without a pin are created and pinned. */
export function loadOnPins(
  object: string,
  pinFolder: string,
  sizes: Partial<MapSizes>,
  config: DatapathConfig,
): LoadedPrograms {
  const declared = attempt(object, () => native().objectMaps(object));
  const specs = mapSpecs(declared, sizes);
  const reuse: Record<string, Fd> = {};
  const maxEntries: Record<string, number> = {};
  for (const noun of mapKeys()) {
    const name = MAP_NAMES[noun];
    const path = join(pinFolder, name);
    const pinned = openIfThere(path);
    if (pinned === undefined) {
      if (sizeOf(noun, sizes) !== undefined) maxEntries[name] = specs[noun].maxEntries;
      continue;
    }
    checkLayout(noun, path, specs[noun], native().mapInfo(pinned));
    reuse[name] = pinned;
  }
  const rodata = { config: DatapathConfig.encode(config) };
  const { maps, programs } = attempt(object, () => native().loadObject(object, { reuse, maxEntries, rodata }));
  const byNoun = mapKeys().map((noun) => {
    const name = MAP_NAMES[noun];
    const map = maps[name];
    if (map === undefined) throw new Error(`Cannot find map "${name}" in object "${object}"`);
    if (reuse[name] === undefined) native().pin(map, join(pinFolder, name));
    reuse[name]?.close();
    return [noun, map] as const;
  });
  return { programs, specs, maps: Object.fromEntries(byNoun) as Record<MapKey, Fd> };
}

/** Calls `use`, which opens the object; turns the addon's error into `PROGRAM_LOAD`. */
function attempt<T>(object: string, use: () => T): T {
  try {
    return use();
  } catch (cause) {
    const log = detailOf(cause);
    const errno = errnoOf(cause);
    throw new MeshError(
      { code: "PROGRAM_LOAD", object, errno, log },
      `Cannot load BPF object "${object}": ${errno}${log === "" ? "" : `\n${log}`}`,
      { cause },
    );
  }
}
