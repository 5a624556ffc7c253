/**
 * Command lines that start a program in a control group or namespace. Each ends in `exec`, so that the pid does not change.
 */
import { readFileSync } from "node:fs";
import { cgroupDirectories } from "../host/cgroups.js";
import type { CgroupHierarchy } from "../host/mounts.js";

/** PATH of what runs in a lab: the system's, not that of the command that started it. */
export const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Builtins only: the children of a wrapped `nsenter` must not include a subshell.
const JOIN =
  'ulimit -n "$1"; shift; while [ "$1" != -- ]; do echo 0 >"$1/cgroup.procs" || exit 125; shift; done; shift; exec "$@"';

/** Joins the control group in every hierarchy before the program's first instruction, so that no child can be outside of it. */
export function joinCgroup(hierarchies: readonly CgroupHierarchy[], cgroup: string, argv: readonly string[]): string[] {
  return ["/bin/sh", "-c", JOIN, "sh", openFilesLimit(), ...cgroupDirectories(hierarchies, cgroup), "--", ...argv];
}

/** Runs the command in the network namespace of another process. */
export function inNetwork(pid: number, argv: readonly string[]): string[] {
  return ["nsenter", `--net=/proc/${pid}/ns/net`, "--", ...argv];
}

/** Runs the command in all namespaces of a node, given its pid 1; forks. */
export function inNode(initPid: number, argv: readonly string[]): string[] {
  const namespaces = ["--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup"];
  return ["nsenter", "--target", String(initPid), ...namespaces, "--wd=/", "--", ...argv];
}

/** The hard limit of open files, which containerd and etcd need and their children inherit. */
function openFilesLimit(): string {
  return /^Max open files +\S+ +(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? "1024";
}
