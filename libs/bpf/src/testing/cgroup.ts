/** Creates cgroups for tests, and unique names for cgroups and pin folders. */
import { mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";

/** The mount point of cgroup2 on this machine, with or without cgroup v1. */
export function findCgroup2(): string {
  for (const line of readFileSync("/proc/mounts", "utf8").split("\n")) {
    const [, path, type] = line.split(" ");
    if (type === "cgroup2" && path !== undefined) return path;
  }
  throw new Error("Cannot find a cgroup2 mount");
}

/** A name that no other process uses. */
export function uniqueName(part: string): string {
  return `mesh-test-${part}-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
}

/** Creates a cgroup; `remove` succeeds once its processes have exited. */
export function makeCgroup(name: string): { readonly path: string; remove(): void } {
  const path = join(findCgroup2(), name);
  mkdirSync(path);
  return { path, remove: () => rmdirSync(path) };
}
