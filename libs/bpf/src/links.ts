/**
 * Programs attached to the cgroup that holds a node's pods, by pinned links: they stay when the agent goes. A new
 * version of a program takes a link over in one step; at no time does a socket run without one.
 */
import { mkdirSync, readdirSync, rmSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "@isthmus/model";
import { errnoOf } from "./errors.js";
import { CGROUP2_MAGIC } from "./kernel-constants.js";
import { type Fd, type LoadedObject, native } from "./native.js";

const PREFIX = "link_";

/** Attaches every program of the object to the cgroup, which is made when it is missing. */
export function attachAll(programs: LoadedObject["programs"], pinFolder: string, cgroup: string): void {
  const directory = openCgroup(cgroup);
  const id = statSync(cgroup, { bigint: true }).ino;
  try {
    for (const [name, { fd, attachType }] of Object.entries(programs)) {
      const path = join(pinFolder, PREFIX + name);
      try {
        if (!takeOver(path, fd, id)) attach(path, fd, directory, attachType);
      } catch (cause) {
        const errno = errnoOf(cause);
        throw new MeshError(
          { code: "PROGRAM_ATTACH", program: name, errno },
          `Cannot attach program "${name}" to cgroup "${cgroup}": ${errno}`,
          { cause },
        );
      }
    }
  } finally {
    directory.close();
  }
}

function openCgroup(path: string): Fd {
  mkdirSync(path, { recursive: true });
  if (statfsSync(path).type !== CGROUP2_MAGIC) {
    throw new MeshError({ code: "CGROUP", path }, `Cannot attach programs to "${path}": it is not a cgroup2 directory`);
  }
  return native().openDirectory(path);
}

/** Gives the pinned link the new program. False when there is no link, or it belongs to another or a dead cgroup. */
function takeOver(path: string, program: Fd, cgroupId: bigint): boolean {
  const link = openIfThere(path);
  if (link === undefined) return false;
  try {
    if (native().linkInfo(link).cgroupId !== cgroupId) {
      rmSync(path);
      return false;
    }
    native().linkUpdate(link, program);
    return true;
  } finally {
    link.close();
  }
}

function attach(path: string, program: Fd, cgroup: Fd, attachType: number): void {
  const link = native().linkCreate(program, cgroup, attachType);
  try {
    native().pin(link, path);
  } finally {
    link.close();
  }
}

/** Takes the programs off the cgroup and removes the links' pins. */
export function detachAll(pinFolder: string): void {
  for (const name of readdirSync(pinFolder).filter((file) => file.startsWith(PREFIX))) {
    const path = join(pinFolder, name);
    const link = openIfThere(path);
    if (link !== undefined && native().linkInfo(link).cgroupId !== 0n) native().linkDetach(link);
    link?.close();
    rmSync(path);
  }
}

/** The pinned object, or undefined when there is no pin. */
export function openIfThere(path: string): Fd | undefined {
  try {
    return native().openPin(path);
  } catch (cause) {
    if (errnoOf(cause) === "ENOENT") return undefined;
    throw cause;
  }
}
