/**
 * Attaches programs by pinned links to the cgroups of a node's pods (usually one). The links stay when the agent stops.
 * A new version of a program replaces the old one in its link atomically, so that sockets are never without a program.
 */
import { mkdirSync, rmSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "@isthmus/model";
import { attachError } from "../errors.js";
import { CGROUP2_MAGIC } from "../kernel-constants.js";
import { type Fd, type LinkInfo, native, type ProgramInfo } from "../native.js";
import { CGROUP_PREFIX, openIfThere, pinsWith } from "./pins.js";

/** A loaded program and its attach type. */
export interface CgroupProgram {
  /** As in its object; the pins of its links contain it. */
  readonly name: string;
  /** Stays the caller's, and may be closed after the call: links keep their program alive. */
  readonly fd: Fd;
  /** The id tells whether a link runs this program already. */
  readonly info: Pick<ProgramInfo, "id">;
  /** BPF_CGROUP_… */
  readonly attachType: number;
}

/**
 * Attaches every program to each of the cgroups, which are created when missing; then detaches programs from all other
 * cgroups. An empty list changes nothing, and a link that runs the program already is not changed.
 */
export function attachToCgroups(
  programs: readonly CgroupProgram[],
  pinFolder: string,
  cgroups: readonly string[],
): void {
  if (cgroups.length === 0) return;
  const kept = new Set<string>();
  for (const cgroup of cgroups) for (const pin of attachTo(programs, pinFolder, cgroup)) kept.add(pin);
  for (const pin of linkPins(pinFolder)) if (!kept.has(pin)) release(join(pinFolder, pin));
}

/** Makes every pinned link of one of these programs run it, whichever cgroup it is attached to. */
export function switchCgroupLinks(programs: readonly CgroupProgram[], pinFolder: string): void {
  for (const program of programs) {
    for (const pin of linkPins(pinFolder, program.name)) {
      const link = openIfThere(join(pinFolder, pin));
      try {
        const info = link && native().linkInfo(link);
        if (link !== undefined && info !== undefined && info.cgroupId !== 0n) switchLink(link, info, program);
      } catch (cause) {
        throw attachError(program.name, `link "${pin}"`, cause);
      } finally {
        link?.close();
      }
    }
  }
}

/** Does nothing when the link runs the program already. */
function switchLink(link: Fd, { programId }: LinkInfo, { fd, info }: CgroupProgram): void {
  if (programId !== info.id) native().linkUpdate(link, fd);
}

/** Attaches the programs to one cgroup; returns the names of their links' pins. */
function attachTo(programs: readonly CgroupProgram[], pinFolder: string, cgroup: string): readonly string[] {
  const directory = openCgroup(cgroup);
  const id = statSync(cgroup, { bigint: true }).ino;
  try {
    return programs.map((program) => {
      try {
        return takeOver(pinFolder, program, id) ?? attach(pinFolder, program, id, directory);
      } catch (cause) {
        throw attachError(program.name, `cgroup "${cgroup}"`, cause);
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

/** Makes the existing link to this cgroup run the program; returns its pin, or undefined when there is no such link. */
function takeOver(pinFolder: string, program: CgroupProgram, cgroup: bigint): string | undefined {
  for (const pin of linkPins(pinFolder, program.name)) {
    const link = openIfThere(join(pinFolder, pin));
    try {
      if (link === undefined) continue;
      const info = native().linkInfo(link);
      if (info.cgroupId !== cgroup) continue;
      switchLink(link, info, program);
      return pin;
    } finally {
      link?.close();
    }
  }
  return undefined;
}

function attach(folder: string, { name, fd, attachType }: CgroupProgram, id: bigint, cgroup: Fd): string {
  const pin = `${CGROUP_PREFIX}${name}@${id}`;
  const link = native().linkCreate(fd, cgroup, attachType);
  try {
    // A pin of this name is of a link that was detached; takeOver() uses all others.
    rmSync(join(folder, pin), { force: true });
    native().pin(link, join(folder, pin));
    return pin;
  } finally {
    link.close();
  }
}

/** Names of the pinned links, `link_<program>@<cgroup id>`, of all programs or of one. */
function linkPins(pinFolder: string, program?: string): readonly string[] {
  const pins = pinsWith(pinFolder, CGROUP_PREFIX);
  return program === undefined ? pins : pins.filter((pin) => pin.split("@")[0] === CGROUP_PREFIX + program);
}

/** Detaches the programs from every cgroup and removes the links' pins. */
export function detachFromCgroups(pinFolder: string): void {
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
