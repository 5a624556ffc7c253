/**
 * Control groups of a lab: one subtree `<mount>/<lab's group>` in every hierarchy, v1 and v2, with one child per unit.
 *
 * The supervisor itself runs in that subtree, so everything that it starts can be found there, whichever process was killed.
 * On a host that has only v2, a group with children has no process of its own: units that get children keep theirs in `init`.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CgroupHierarchy } from "./mounts.js";

/** The controllers that a kubelet on v2 expects to be delegated. */
const DELEGATED = ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"];

/** Makes one group in every hierarchy, ready to take processes. */
export function makeCgroup(hierarchies: readonly CgroupHierarchy[], path: string): void {
  for (const hierarchy of hierarchies) {
    let directory = hierarchy.mount;
    for (const part of path.split("/")) {
      if (hierarchy.version === 2) delegateControllers(directory);
      const parent = directory;
      directory = join(directory, part);
      mkdirSync(directory, { recursive: true });
      if (hierarchy.version === 1) inheritCpuset(parent, directory);
    }
  }
}

/** True on a host whose groups hold either processes or children with controllers, not both. */
export function isUnified(hierarchies: readonly CgroupHierarchy[]): boolean {
  return hierarchies.every(({ version }) => version === 2);
}

/** Moves the group's own processes to its child `init`, then delegates controllers to the other children. */
export function makeInner(hierarchies: readonly CgroupHierarchy[], path: string): void {
  for (const directory of cgroupDirectories(hierarchies, path)) {
    const init = join(directory, "init");
    mkdirSync(init, { recursive: true });
    moveProcesses(directory, init);
    delegateControllers(directory);
  }
}

/** The group's folder in each hierarchy; a process joins by a write to `cgroup.procs` in each of them. */
export function cgroupDirectories(hierarchies: readonly CgroupHierarchy[], path: string): string[] {
  return hierarchies.map((hierarchy) => join(hierarchy.mount, path));
}

/** Every pid in the group and below it, in all hierarchies. */
export function pidsBelow(hierarchies: readonly CgroupHierarchy[], path: string): Set<number> {
  const pids = new Set<number>();
  for (const hierarchy of hierarchies) {
    for (const directory of tree(join(hierarchy.mount, path))) {
      for (const line of readLines(join(directory, "cgroup.procs"))) if (Number(line) > 0) pids.add(Number(line));
    }
  }
  return pids;
}

/** Removes the group and everything below it; returns what could not be removed. */
export function removeCgroup(hierarchies: readonly CgroupHierarchy[], path: string): string[] {
  const left: string[] = [];
  for (const hierarchy of hierarchies) {
    for (const directory of tree(join(hierarchy.mount, path)).reverse()) {
      try {
        rmdirSync(directory);
      } catch {
        if (existsSync(directory)) left.push(directory);
      }
    }
  }
  return left;
}

/** The directory and all directories below it, parents first. */
function tree(directory: string): string[] {
  if (!existsSync(directory)) return [];
  const found = [directory];
  for (let next = 0; next < found.length; next++) {
    const parent = found[next] ?? "";
    try {
      for (const entry of readdirSync(parent, { withFileTypes: true })) {
        if (entry.isDirectory()) found.push(join(parent, entry.name));
      }
    } catch {
      // The directory was removed meanwhile, so there is nothing below it.
    }
  }
  return found;
}

/** Repeats until none is left: a process may start another, or exit, between two reads. */
function moveProcesses(from: string, to: string): void {
  for (let tries = 0; tries < 100; tries++) {
    const pids = readLines(join(from, "cgroup.procs"));
    if (pids.length === 0) return;
    for (const pid of pids) {
      try {
        writeFileSync(join(to, "cgroup.procs"), pid);
      } catch {
        // The process exited meanwhile.
      }
    }
  }
}

function delegateControllers(directory: string): void {
  const available = readLines(join(directory, "cgroup.controllers")).join(" ").split(" ");
  const enabled = new Set(readLines(join(directory, "cgroup.subtree_control")).join(" ").split(" "));
  for (const controller of DELEGATED) {
    if (!available.includes(controller) || enabled.has(controller)) continue;
    try {
      writeFileSync(join(directory, "cgroup.subtree_control"), `+${controller}`);
    } catch {
      // The host does not delegate this controller; the kubelet reports an error if it needs it.
    }
  }
}

function inheritCpuset(parent: string, directory: string): void {
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    const target = join(directory, file);
    if (!existsSync(target) || readFileSync(target, "utf8").trim() !== "") continue;
    writeFileSync(target, readFileSync(join(parent, file)));
  }
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n").filter(Boolean);
  } catch {
    return [];
  }
}
