/**
 * Programs attached to the cgroups that hold a node's pods (one as a rule), by pinned links: they stay when the agent
 * goes. A new version of a program takes a link over in one step; at no time does a socket run without one.
 */
import { mkdirSync, readdirSync, rmSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "@isthmus/model";
import { errnoOf } from "./errors.js";
import { CGROUP2_MAGIC } from "./kernel-constants.js";
import { type Fd, native, type ProgramInfo } from "./native.js";

const PREFIX = "link_";

/** A loaded program and its attach type. */
export interface Attachable {
  readonly name: string;
  readonly fd: Fd;
  readonly info: Pick<ProgramInfo, "id">;
  readonly attachType: number;
}

/**
 * Attaches every program to each of the cgroups, which are made when they are missing; then takes off what is attached
 * elsewhere. Without a cgroup nothing is changed, and a link that runs the program already is only looked at.
 */
export function attachAll(programs: readonly Attachable[], pinFolder: string, cgroups: readonly string[]): void {
  if (cgroups.length === 0) return;
  const kept = new Set<string>();
  for (const cgroup of cgroups) for (const pin of attachTo(programs, pinFolder, cgroup)) kept.add(pin);
  for (const pin of linkPins(pinFolder)) if (!kept.has(pin)) release(join(pinFolder, pin));
}

/** Returns the names of the pins that hold the programs there. */
function attachTo(programs: readonly Attachable[], pinFolder: string, cgroup: string): readonly string[] {
  const directory = openCgroup(cgroup);
  const id = statSync(cgroup, { bigint: true }).ino;
  try {
    return programs.map((program) => {
      try {
        return takeOver(pinFolder, program, id) ?? attach(pinFolder, program, id, directory);
      } catch (cause) {
        const errno = errnoOf(cause);
        throw new MeshError(
          { code: "PROGRAM_ATTACH", program: program.name, errno },
          `Cannot attach program "${program.name}" to cgroup "${cgroup}": ${errno}`,
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

/** Makes the link to this cgroup run the program; the name of its pin, or undefined when there is none. */
function takeOver(pinFolder: string, { name, fd, info }: Attachable, cgroup: bigint): string | undefined {
  for (const pin of linkPins(pinFolder, name)) {
    const link = openIfThere(join(pinFolder, pin));
    try {
      if (link === undefined) continue;
      const { cgroupId, programId } = native().linkInfo(link);
      if (cgroupId !== cgroup) continue;
      if (programId !== info.id) native().linkUpdate(link, fd);
      return pin;
    } finally {
      link?.close();
    }
  }
  return undefined;
}

function attach(folder: string, { name, fd, attachType }: Attachable, id: bigint, cgroup: Fd): string {
  const pin = `${PREFIX}${name}@${id}`;
  const link = native().linkCreate(fd, cgroup, attachType);
  try {
    // Of a link to this cgroup that was detached, or takeOver() would have found it.
    rmSync(join(folder, pin), { force: true });
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
  try {
    if (link !== undefined && native().linkInfo(link).cgroupId !== 0n) native().linkDetach(link);
  } finally {
    link?.close();
  }
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
