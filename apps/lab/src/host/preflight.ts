/**
 * Says in one sentence why this machine cannot run a lab; nothing is changed but the mount of bpffs when it is missing.
 */
import { existsSync, statfsSync } from "node:fs";
import { release } from "node:os";
import { dirname } from "node:path";
import { labError } from "../plan/errors.js";
import { LABS_ROOT } from "../plan/paths.js";
import { readMounts } from "./mounts.js";
import { run } from "./run.js";

export interface Machine {
  readonly platform: string;
  readonly uid: number;
  readonly kernelRelease: string;
  readonly hasBtf: boolean;
  readonly hasCgroups: boolean;
  readonly missingPrograms: readonly string[];
  /** Bytes that root can still write where labs keep their state. */
  readonly freeBytes: number;
}

/** A lab of two clusters of two nodes writes a third of this before anybody uses it. */
const NEEDED_BYTES = 1024 ** 3;

const PROGRAMS = ["containerd", "ctr", "runc", "ip", "nsenter", "unshare", "mount", "setsid"];
const PROGRAM_DIRS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** First reason against, or undefined. Pure. */
export function findUnfit(machine: Machine): string | undefined {
  if (machine.platform !== "linux") return `The lab needs Linux, this is "${machine.platform}"`;
  if (machine.uid !== 0) return "The lab makes namespaces, mounts and control groups: run it as root";
  if (!kernelAtLeast(machine.kernelRelease, 6, 1))
    return `Kernel ${machine.kernelRelease} is too old: 6.1 or newer is needed`;
  if (!machine.hasBtf)
    return "The kernel has no BTF (/sys/kernel/btf/vmlinux): use a kernel with CONFIG_DEBUG_INFO_BTF=y";
  if (!machine.hasCgroups)
    return "No cgroup2 hierarchy is mounted: mount one, or boot with unified or hybrid control groups";
  if (machine.missingPrograms.length > 0) {
    return `Programs are missing: ${machine.missingPrograms.join(", ")}. Run "make setup", or install containerd, runc, iproute2 and util-linux`;
  }
  if (machine.freeBytes < NEEDED_BYTES)
    return `Only ${Math.floor(machine.freeBytes / 1024 ** 2)} MiB are free for "${LABS_ROOT}": a lab needs 1024`;
  return undefined;
}

export function kernelAtLeast(version: string, major: number, minor: number): boolean {
  const [have = 0, haveMinor = 0] = version.split(/[.-]/).map(Number);
  return have > major || (have === major && haveMinor >= minor);
}

export function findProgram(name: string): string | undefined {
  return PROGRAM_DIRS.map((directory) => `${directory}/${name}`).find(existsSync);
}

export function inspectMachine(): Machine {
  return {
    platform: process.platform,
    uid: process.getuid?.() ?? -1,
    kernelRelease: release(),
    hasBtf: existsSync("/sys/kernel/btf/vmlinux"),
    hasCgroups: process.platform === "linux" && readMounts().some((mount) => mount.type === "cgroup2"),
    missingPrograms: PROGRAMS.filter((name) => findProgram(name) === undefined),
    freeBytes: freeBytesAt(LABS_ROOT),
  };
}

/** Of the file system that the path is on, or will be. */
function freeBytesAt(path: string): number {
  if (!existsSync(path)) return freeBytesAt(dirname(path));
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** Throws `UNFIT` with one sentence. Returns whether bpffs had to be mounted. */
export async function preflight(): Promise<{ readonly mountedBpffs: boolean }> {
  const unfit = findUnfit(inspectMachine());
  if (unfit !== undefined) throw labError("UNFIT", unfit);
  if (readMounts().some((mount) => mount.type === "bpf" && mount.target === "/sys/fs/bpf"))
    return { mountedBpffs: false };
  try {
    await run(["mount", "-t", "bpf", "bpf", "/sys/fs/bpf"]);
  } catch (error) {
    throw labError("UNFIT", "No bpffs at /sys/fs/bpf, and it cannot be mounted there", error);
  }
  return { mountedBpffs: true };
}
