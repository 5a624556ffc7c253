/** The emulator and what builds its first file system, from Debian, when missing. */
import { existsSync } from "node:fs";
import { installMissing } from "../setup/packages.mjs";

/** Debian 12 has it in qemu-system-common, later ones in a package of its own. */
const SERVERS = ["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd"];
const NEEDS = [
  ["qemu-system-x86", "/usr/bin/qemu-system-x86_64"],
  ["busybox-static", "/usr/bin/busybox"],
  ["cpio", "/usr/bin/cpio"],
  ["kmod", "/usr/bin/kmod"],
  ["xz-utils", "/usr/bin/xz"],
];

export async function installEmulator() {
  await installMissing(NEEDS);
  if (fileServer() === undefined) await installMissing([["virtiofsd", SERVERS[0]]]);
}

/** The program that gives the guest this machine's files; undefined when there is none. */
export function fileServer() {
  return SERVERS.find((path) => existsSync(path));
}
