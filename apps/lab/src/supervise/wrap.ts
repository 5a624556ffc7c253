/**
 * Command lines that put a process where it belongs. Each ends in `exec`, so that the pid stays the same all the way.
 */
import { readFileSync } from "node:fs";
import { cgroupDirectories } from "../host/cgroups.js";
import type { CgroupHierarchy } from "../host/mounts.js";

// Builtins only: whoever looks for the children of a wrapped `nsenter` must not find a subshell.
const JOIN =
  'ulimit -n "$1"; shift; while [ "$1" != -- ]; do echo 0 >"$1/cgroup.procs" || exit 125; shift; done; shift; exec "$@"';

/** Joins the control group in every hierarchy before the program's first instruction: nothing can slip out. */
export function joinCgroup(hierarchies: readonly CgroupHierarchy[], cgroup: string, argv: readonly string[]): string[] {
  return ["/bin/sh", "-c", JOIN, "sh", openFilesLimit(), ...cgroupDirectories(hierarchies, cgroup), "--", ...argv];
}

/** In the network namespace of another process. */
export function inNetwork(pid: number, argv: readonly string[]): string[] {
  return ["nsenter", `--net=/proc/${pid}/ns/net`, "--", ...argv];
}

/** In all namespaces of a node, by its pid 1; forks. */
export function inNode(initPid: number, argv: readonly string[]): string[] {
  const namespaces = ["--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup"];
  return ["nsenter", "--target", String(initPid), ...namespaces, "--wd=/", "--", ...argv];
}

/** The hard limit of open files: what containerd and etcd want, and what their children inherit. */
function openFilesLimit(): string {
  return /^Max open files +\S+ +(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? "1024";
}
