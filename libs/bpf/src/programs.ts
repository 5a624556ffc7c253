/** Loads the programs of BPF objects onto the maps of a map set. */
import { MeshError } from "@isthmus/model";
import { detailOf, errnoOf } from "./errors.js";
import type { MapSet } from "./map-set.js";
import { type Fd, native, type ProgramInfo } from "./native.js";

export interface LoadedProgram {
  /** As in its object. */
  readonly name: string;
  /** The caller closes it; links keep their program alive. */
  readonly fd: Fd;
  /** As the kernel reports it after the load. */
  readonly info: ProgramInfo;
  /** BPF_CGROUP_…; 0 for a program whose section does not name where it is attached. */
  readonly attachType: number;
}

/**
 * Loads an object with the set's maps, which must have all that it declares. `rodata`: its read-only variables. Throws
 * `PROGRAM_LOAD`, with the verifier's log.
 */
export function loadPrograms(
  set: Pick<MapSet, "map">,
  object: string,
  rodata: Readonly<Record<string, Uint8Array>>,
): readonly LoadedProgram[] {
  const names = Object.keys(openingObject(object, () => native().objectMaps(object)));
  const reuse = Object.fromEntries(names.map((name) => [name, set.map(name)]));
  const { maps, programs } = openingObject(object, () => native().loadObject(object, { reuse, rodata }));
  for (const map of Object.values(maps)) map.close();
  return Object.entries(programs).map(([name, program]) => ({
    name,
    ...program,
    info: native().programInfo(program.fd),
  }));
}

/** Calls `use`, which opens the object; turns the addon's error into `PROGRAM_LOAD`. */
export function openingObject<T>(object: string, use: () => T): T {
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
