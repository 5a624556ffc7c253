/**
 * Programs attached to the cgroups that hold a node's pods (one as a rule), by pinned links: they stay when the agent
 * goes. A new version of a program takes a link over in one step; at no time does a socket run without one.
 */
import { mkdirSync, readdirSync, rmSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "@isthmus/model";
import { errnoOf } from "./errors.js";
import { CGROUP2_MAGIC } from "./kernel-constants.js";
import { type Fd, type LoadedObject, native } from "./native.js";

const PREFIX = "link_";

/**
 * Attaches every program of the object to each of the cgroups, which are made when they are missing; then takes off
 * what is attached elsewhere. Without a cgroup nothing is changed.
 */
export function attachAll(programs: LoadedObject["programs"], pinFolder: string, cgroups: readonly string[]): void {
  if (cgroups.length === 0) return;
  const kept = new Set<string>();
  for (const cgroup of cgroups) for (const pin of attachTo(programs, pinFolder, cgroup)) kept.add(pin);
  for (const pin of linkPins(pinFolder)) if (!kept.has(pin)) release(join(pinFolder, pin));
}

/** Returns the names of the pins that hold the programs there. */
function attachTo(programs: LoadedObject["programs"], pinFolder: string, cgroup: string): readonly string[] {
  const directory = openCgroup(cgroup);
  const id = statSync(cgroup, { bigint: true }).ino;
  try {
    return Object.entries(programs).map(([name, { fd, attachType }]) => {
      try {
        return takeOver(pinFolder, name, fd, id) ?? attach(pinFolder, name, fd, id, directory, attachType);
      } catch (cause) {
        const errno = errnoOf(cause);
        throw new MeshError(
          { code: "PROGRAM_ATTACH", program: name, errno },
          `Cannot attach program "${name}" to cgroup "${cgroup}": ${errno}`,
          { cause },
        );
      }
    });
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

/** Gives the link to this cgroup the new program; the name of its pin, or undefined when there is none. */
function takeOver(pinFolder: string, name: string, program: Fd, cgroupId: bigint): string | undefined {
  for (const pin of linkPins(pinFolder, name)) {
    const link = openIfThere(join(pinFolder, pin));
    try {
      if (link === undefined || native().linkInfo(link).cgroupId !== cgroupId) continue;
      native().linkUpdate(link, program);
      return pin;
    } finally {
      link?.close();
    }
  }
  return undefined;
}

function attach(folder: string, name: string, program: Fd, id: bigint, cgroup: Fd, attachType: number): string {
  const pin = `${PREFIX}${name}@${id}`;
  const link = native().linkCreate(program, cgroup, attachType);
  try {
    native().pin(link, join(folder, pin));
    return pin;
  } finally {
    link.close();
  }
}

/** Names of the pinned links, `link_<program>@<cgroup id>`: all, or those of one program. */
function linkPins(pinFolder: string, program?: string): readonly string[] {
  const pins = readdirSync(pinFolder).filter((file) => file.startsWith(PREFIX));
  return program === undefined ? pins : pins.filter((pin) => pin.split("@")[0] === PREFIX + program);
}

/** Takes the programs off every cgroup and removes the links' pins. */
export function detachAll(pinFolder: string): void {
  for (const pin of linkPins(pinFolder)) release(join(pinFolder, pin));
}

function release(path: string): void {
  const link = openIfThere(path);
  if (link !== undefined && native().linkInfo(link).cgroupId !== 0n) native().linkDetach(link);
  link?.close();
  rmSync(path);
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
