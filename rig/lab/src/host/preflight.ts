/**
 * Reports in one sentence why this machine cannot run a lab. Changes nothing, except that it mounts bpffs when it is missing.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync, statfsSync, statSync } from "node:fs";
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
  /** Bytes that root can still write in the folder of the labs' state. */
  readonly freeBytes: number;
  /** inotify instances that root can still create: kubelets and control planes need several each, and do not start without them. */
  readonly freeInotifyInstances: number;
}

/** A lab of two clusters of two nodes writes a third of this before it is used. */
const NEEDED_BYTES = 1024 ** 3;
/** inotify instances of a control plane, and of a node's kubelet and containerd with their pods. */
const INOTIFY = { cluster: 4, node: 7 };

export interface LabSize {
  readonly clusters: readonly string[];
  readonly nodesPerCluster: number;
}

const PROGRAMS = ["containerd", "ctr", "runc", "ip", "tc", "nsenter", "unshare", "mount", "setsid"];
const PROGRAM_DIRS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** The first unmet requirement, or undefined. Pure. */
export function findUnfit(machine: Machine, { clusters, nodesPerCluster }: LabSize): string | undefined {
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
  const inotify = clusters.length * (INOTIFY.cluster + nodesPerCluster * INOTIFY.node);
  if (machine.freeInotifyInstances < inotify)
    return `Only ${machine.freeInotifyInstances} inotify instances are free, and this lab takes ${inotify}: take another lab down, or run "sysctl fs.inotify.max_user_instances=512"`;
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
    freeInotifyInstances: freeInotifyInstances(),
  };
}

/** The limit is per user: counts the instances of root's processes, which only root can see. */
function freeInotifyInstances(): number {
  const file = "/proc/sys/fs/inotify/max_user_instances";
  if (!existsSync(file)) return Number.POSITIVE_INFINITY;
  const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const taken = processes.reduce((sum, pid) => sum + inotifyInstancesOf(`/proc/${pid}`), 0);
  return Number(readFileSync(file, "utf8")) - taken;
}

function inotifyInstancesOf(process: string): number {
  try {
    if (statSync(process).uid !== 0) return 0;
    const targets = readdirSync(`${process}/fd`).map((fd) => readLink(`${process}/fd/${fd}`));
    return targets.filter((target) => target === "anon_inode:inotify").length;
  } catch {
    return 0; // the process exited meanwhile
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ""; // the file was closed meanwhile
  }
}

/** Free bytes of the file system on which the path is, or will be created. */
function freeBytesAt(path: string): number {
  if (!existsSync(path)) return freeBytesAt(dirname(path));
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** Throws `UNFIT` with one sentence. Returns whether it had to mount bpffs. */
export async function preflight(size: LabSize): Promise<{ readonly mountedBpffs: boolean }> {
  const unfit = findUnfit(inspectMachine(), size);
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
