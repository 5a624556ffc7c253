/**
 * Installs Debian packages. A package is installed only when what it provides is missing, since a machine may have containerd
 * from another source. Each line: what must exist, and the sets of packages that provide it; the first known set is used.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { runStep, Unfit } from "./step.mjs";

const DIRECTORIES = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
const program = (name) => () => DIRECTORIES.some((directory) => existsSync(`${directory}/${name}`));
const file = (path) => () => existsSync(path);
const multiarch = { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" }[process.arch] ?? "";

const NEEDS = [
  [program("clang-19"), [["clang-19"]]],
  [file("/usr/include/bpf/libbpf.h"), [["libbpf-dev"]]],
  [file("/usr/include/libelf.h"), [["libelf-dev"]]],
  [file("/usr/include/zlib.h"), [["zlib1g-dev"]]],
  [file("/usr/include/linux/bpf.h"), [["linux-libc-dev"]]],
  [file(`/usr/lib/${multiarch}/libc.a`), [["libc6-dev"]]],
  [program("gcc"), [["gcc"]]],
  [program("g++"), [["g++"]]],
  [program("make"), [["make"]]],
  [program("python3"), [["python3"]]],
  [program("git"), [["git"]]],
  [program("bpftool"), [["bpftool"], ["linux-tools-common", "linux-tools-generic"]]],
  [program("containerd"), [["containerd"]]],
  [program("runc"), [["runc"]]],
  [program("ip"), [["iproute2"]]],
  [program("tc"), [["iproute2"]]],
  [program("iptables"), [["iptables"]]],
  [program("nft"), [["nftables"]]],
  [program("nsenter"), [["util-linux"]]],
  [program("mount"), [["mount"]]],
  [program("tar"), [["tar"]]],
  [program("openssl"), [["openssl"]]],
  [program("shellcheck"), [["shellcheck"]]],
  [file("/etc/ssl/certs/ca-certificates.crt"), [["ca-certificates"]]],
];

export async function installPackages() {
  const missing = NEEDS.filter(([present]) => !present());
  if (missing.length === 0) return;
  const names = missing.map(([, sets]) => sets[0].join(" ")).join(" ");
  if (!program("apt-get")()) throw new Unfit(`Install these by this system's means, then run this again: ${names}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  await runStep("apt-get update", ["apt-get", "update", "-q"], { env });
  const chosen = missing.flatMap(([, sets]) => sets.find((set) => set.every(isKnown)) ?? sets[0]);
  const install = ["apt-get", "install", "-q", "-y", "--no-install-recommends", ...chosen];
  await runStep(`install Debian packages: ${chosen.join(" ")}`, install, { env });
}

/** `needs`: [package, file that it provides]... Installs those whose file is missing. */
export async function installMissing(needs) {
  const names = needs.filter(([, path]) => !existsSync(path)).map(([name]) => name);
  if (names.length === 0) return;
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const argv = ["apt-get", "install", "-q", "-y", "--no-install-recommends", ...names];
  await runStep(`install Debian packages: ${names.join(" ")}`, argv, { env });
}

function isKnown(name) {
  const policy = spawnSync("apt-cache", ["policy", name], { encoding: "utf8" }).stdout ?? "";
  return /Candidate: (?!\(none\))/.test(policy);
}
