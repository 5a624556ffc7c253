/** Reports in one sentence why this machine cannot run the mesh. Changes nothing, but mounts bpffs to check it when missing. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import process from "node:process";
import { Unfit } from "./step.mjs";

export function preflight() {
  if (process.platform !== "linux") throw new Unfit(`Isthmus needs Linux, this is "${process.platform}"`);
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new Unfit(`Node ${process.versions.node} is too old: 20.19 or newer is needed`);
  }
  if (process.getuid() !== 0) throw new Unfit("The lab makes namespaces, mounts and BPF programs: run this as root");
  const [kernel, patch] = release().split(/[.-]/).map(Number);
  if (kernel < 6 || (kernel === 6 && patch < 1)) {
    throw new Unfit(`Kernel ${release()} is too old: 6.1 or newer is needed`);
  }
  if (!existsSync("/sys/kernel/btf/vmlinux")) {
    throw new Unfit("The kernel has no BTF (/sys/kernel/btf/vmlinux): use a kernel with CONFIG_DEBUG_INFO_BTF=y");
  }
  mountBpffs();
}

/** Checks that bpffs can be mounted, and unmounts it again: the lab mounts its own. */
function mountBpffs() {
  if (/ \/sys\/fs\/bpf bpf /.test(readFileSync("/proc/mounts", "utf8"))) return;
  if (spawnSync("mount", ["-t", "bpf", "bpf", "/sys/fs/bpf"]).status !== 0) {
    throw new Unfit("No bpffs at /sys/fs/bpf, and it cannot be mounted there");
  }
  spawnSync("umount", ["/sys/fs/bpf"]);
}
