/** Installs the emulator and the programs that build the initramfs, from Debian, when missing. */
import { existsSync } from "node:fs";
import { installMissing } from "../setup/packages.mjs";

/** Debian 12 has virtiofsd in qemu-system-common, later releases have a separate package. */
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

/** The program that shares this machine's files with the guest; undefined when it is not installed. */
export function fileServer() {
  return SERVERS.find((path) => existsSync(path));
}
