/** Loads a BPF object with the existing pinned maps, and pins the maps that it creates. */
import { join } from "node:path";
import { MeshError } from "@isthmus/model";
import { detailOf, errnoOf } from "./errors.js";
import { DatapathConfig } from "./gen/index.js";
import { checkLayout, MAP_NAMES, type MapKey, type MapSizes, mapSpecs } from "./layout.js";
import { openIfThere } from "./links.js";
import { type Fd, type LoadedObject, native } from "./native.js";

export interface LoadedPrograms {
  readonly programs: LoadedObject["programs"];
  readonly maps: Readonly<Record<MapKey, Fd>>;
}

/** Loads the programs of `object` with the pinned maps; maps without a pin are created and pinned. */
export function loadOnPins(object: string, pinFolder: string, sizes: MapSizes, config: DatapathConfig): LoadedPrograms {
  const specs = Object.entries(mapSpecs(sizes)) as [MapKey, ReturnType<typeof mapSpecs>[MapKey]][];
  const reuse: Record<string, Fd> = {};
  const maxEntries: Record<string, number> = {};
  for (const [noun, spec] of specs) {
    const path = join(pinFolder, MAP_NAMES[noun]);
    const pinned = openIfThere(path);
    if (pinned === undefined) {
      if (spec.maxEntries > 0) maxEntries[MAP_NAMES[noun]] = spec.maxEntries;
      continue;
    }
    checkLayout(noun, path, spec, native().mapInfo(pinned));
    reuse[MAP_NAMES[noun]] = pinned;
  }
  const { maps, programs } = load(object, { reuse, maxEntries, rodata: { config: DatapathConfig.encode(config) } });
  const byNoun = specs.map(([noun]) => {
    const name = MAP_NAMES[noun];
    const map = maps[name];
    if (map === undefined) throw new Error(`Cannot find map "${name}" in object "${object}"`);
    if (reuse[name] === undefined) native().pin(map, join(pinFolder, name));
    reuse[name]?.close();
    return [noun, map] as const;
  });
  return { programs, maps: Object.fromEntries(byNoun) as Record<MapKey, Fd> };
}

function load(object: string, options: Parameters<ReturnType<typeof native>["loadObject"]>[1]): LoadedObject {
  try {
    return native().loadObject(object, options);
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
