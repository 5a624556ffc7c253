/** Installs the container engine and the programs that build images without a registry, from Debian, when missing. */
import { installMissing } from "../setup/packages.mjs";

/** netavark and aardvark-dns: with podman's other network back end, nodes cannot resolve names, and a worker never joins. */
export const NEEDS = [
  ["podman", "/usr/bin/podman"],
  ["netavark", "/usr/lib/podman/netavark"],
  ["aardvark-dns", "/usr/lib/podman/aardvark-dns"],
  // For netavark.
  ["iptables", "/usr/sbin/iptables"],
  ["debootstrap", "/usr/sbin/debootstrap"],
  ["jq", "/usr/bin/jq"],
];

export async function installEngine() {
  await installMissing(NEEDS);
}
