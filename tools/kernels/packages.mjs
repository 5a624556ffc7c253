/** The emulator and what builds its first file system, from Debian, when missing. */
import { existsSync } from "node:fs";
import process from "node:process";
import { runStep } from "../setup/step.mjs";

/** Debian 12 has it in qemu-system-common, later ones in a package of its own. */
const SERVERS = ["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd"];
const NEEDS = [
  ["/usr/bin/qemu-system-x86_64", "qemu-system-x86"],
  ["/usr/bin/busybox", "busybox-static"],
  ["/usr/bin/cpio", "cpio"],
  ["/usr/bin/kmod", "kmod"],
  ["/usr/bin/xz", "xz-utils"],
];

export async function installEmulator() {
  await install(NEEDS.filter(([path]) => !existsSync(path)).map(([, name]) => name));
  if (fileServer() === undefined) await install(["virtiofsd"]);
}

/** The program that gives the guest this machine's files; undefined when there is none. */
export function fileServer() {
  return SERVERS.find((path) => existsSync(path));
}

async function install(names) {
  if (names.length === 0) return;
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const argv = ["apt-get", "install", "-q", "-y", "--no-install-recommends", ...names];
  await runStep(`install Debian packages: ${names.join(" ")}`, argv, { env });
}
