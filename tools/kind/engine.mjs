/**
 * A container engine of this rig's own: podman with its own storage, settings and network namespace.
 *
 *   the machine ── storage and images below the cache, no network of theirs
 *      └─ network namespace "isthmus-kind" ── podman's networks, rules and published ports, nodes, CLI
 *
 * Invariant: after `restoreMachine` nothing is left but the cache, also of a run that was killed.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";

export const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "isthmus/kind");
const NETNS = "isthmus-kind";
const RUN = "/run/isthmus-kind";
const SAVED = join(RUN, "sysctls.json");
const MODULES = "/lib/modules";
/** Folders that podman and runc leave. */
const TRACES = ["/run/containers", "/run/runc", "/run/crun"];
/** What a node's kubelet and systemd set for the whole machine, since its containers are privileged; and what `openNetwork` does. */
const SYSCTLS = [
  "vm/overcommit_memory",
  "vm/panic_on_oom",
  "kernel/panic",
  "kernel/panic_on_oops",
  "kernel/keys/root_maxkeys",
  "kernel/keys/root_maxbytes",
  "fs/inotify/max_user_instances",
  "fs/protected_fifos",
  "fs/protected_hardlinks",
  "fs/protected_regular",
  "fs/protected_symlinks",
];

/** The settings of every podman that this process starts, also through kind. */
export function engineEnv(more = {}) {
  const env = {
    ...process.env,
    CONTAINERS_CONF: join(CACHE, "containers.conf"),
    CONTAINERS_STORAGE_CONF: join(CACHE, "storage.conf"),
    CONTAINER_CLI: "podman",
    KIND_EXPERIMENTAL_PROVIDER: "podman",
    // The rig's network namespace leads nowhere: a proxy of the machine's is not for its nodes.
    ...Object.fromEntries(["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"].map((name) => [name, ""])),
    ...more,
  };
  return env;
}

export function writeSettings() {
  mkdirSync(CACHE, { recursive: true });
  // runc and cgroupfs: what works beside cgroup v1, and without systemd on the machine.
  const containers = `[containers]
pids_limit = 0
default_ulimits = [${ulimits()
    .map((each) => JSON.stringify(each))
    .join(", ")}]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "${RUN}/libpod"
[network]
network_backend = "netavark"
network_config_dir = "${CACHE}/networks"
`;
  const storage = `[storage]
driver = "overlay"
graphroot = "${CACHE}/storage"
runroot = "${RUN}/storage"
`;
  writeFileSync(join(CACHE, "containers.conf"), containers);
  writeFileSync(join(CACHE, "storage.conf"), storage);
}

/** Those of this process: podman's own defaults are more, and raising a limit takes CAP_SYS_RESOURCE. It lowers nproc to pid_max. */
function ulimits() {
  const limits = readFileSync("/proc/self/limits", "utf8");
  const hard = (title) => Number(new RegExp(`^${title} +\\S+ +(\\d+)`, "m").exec(limits)?.[1] ?? 1_048_576);
  const processes = Math.min(hard("Max processes"), Number(readFileSync("/proc/sys/kernel/pid_max", "utf8")));
  return [`nofile=${hard("Max open files")}:${hard("Max open files")}`, `nproc=${processes}:${processes}`];
}

/** A command's argv, as it runs in the rig's network namespace. */
export function inside(argv) {
  return ["nsenter", `--net=/run/netns/${NETNS}`, "--", ...argv];
}

/** Before the first podman: what the machine is like without. */
export function rememberMachine() {
  mkdirSync(RUN, { recursive: true, mode: 0o700 });
  if (existsSync(SAVED)) return;
  const absent = [MODULES, ...TRACES].filter((path) => !existsSync(path));
  writeFileSync(SAVED, JSON.stringify({ sysctls: readSysctls(), absent, cgroups: cgroupsOfPodman() }));
}

export function networkIsOpen() {
  return existsSync(`/run/netns/${NETNS}`);
}

export function openNetwork() {
  // kind binds it into every node; a kernel without modules may have none.
  mkdirSync(MODULES, { recursive: true });
  if (networkIsOpen()) return;
  // Labs and two kind clusters have more than the usual 128 together.
  const inotify = "/proc/sys/fs/inotify/max_user_instances";
  if (Number(readFileSync(inotify, "utf8")) < 512) writeFileSync(inotify, "512");
  execFileSync("ip", ["netns", "add", NETNS]);
  execFileSync("ip", ["-n", NETNS, "link", "set", "lo", "up"]);
}

/** Containers, networks, the namespace and what podman and nodes changed on the machine; images stay. */
export function restoreMachine() {
  removeBuilds();
  if (networkIsOpen()) {
    const podman = (...args) =>
      spawnSync(...command(inside(["podman", ...args])), { env: engineEnv(), stdio: "ignore" });
    podman("rm", "--all", "--force", "--time", "0", "--volumes");
    podman("network", "prune", "--force");
    podman("volume", "prune", "--force");
    execFileSync("ip", ["netns", "delete", NETNS]);
  }
  const mounted = join(CACHE, "storage/overlay");
  if (readFileSync("/proc/self/mounts", "utf8").includes(` ${mounted} `)) {
    execFileSync("umount", ["--recursive", mounted]);
  }
  if (!existsSync(SAVED)) return;
  const { sysctls, absent, cgroups } = JSON.parse(readFileSync(SAVED, "utf8"));
  for (const [path, value] of Object.entries(sysctls)) writeSysctl(path, value);
  for (const path of absent) {
    if (TRACES.includes(path)) rmSync(path, { recursive: true, force: true });
    else removeFolders(path);
  }
  for (const path of cgroupsOfPodman()) if (!cgroups.includes(path)) removeUnusedCgroup(path);
  rmSync(RUN, { recursive: true, force: true });
}

/** Containers of builds that were interrupted, which podman knows as somebody else's. */
function removeBuilds() {
  const podman = (...args) => spawnSync("podman", args, { env: engineEnv(), encoding: "utf8" });
  const listed = podman("ps", "--all", "--external", "--format", "{{.ID}} {{.Command}}").stdout ?? "";
  const builds = listed.split("\n").filter((line) => line.endsWith(" buildah"));
  if (builds.length > 0) podman("rm", "--force", ...builds.map((line) => line.split(" ")[0]));
}

function command([program, ...args]) {
  return [program, args];
}

function readSysctls() {
  return Object.fromEntries(
    SYSCTLS.map((name) => join("/proc/sys", name))
      .filter((path) => existsSync(path))
      .map((path) => [path, readFileSync(path, "utf8").trim()]),
  );
}

function writeSysctl(path, value) {
  if (readFileSync(path, "utf8").trim() !== value) writeFileSync(path, value);
}

/** Those that there are, in each hierarchy of cgroup v1 or v2: of containers, and of builds, which an interrupted one leaves. */
function cgroupsOfPodman() {
  const root = "/sys/fs/cgroup";
  const folders = (parent) =>
    readdirSync(parent, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(parent, name));
  return [root, ...folders(root)]
    .filter((hierarchy) => existsSync(join(hierarchy, "cgroup.procs")))
    .flatMap(folders)
    .filter((path) => /^(libpod_parent|buildah-.+)$/.test(basename(path)));
}

/** Somebody else's podman may have come since, and be using it. */
function removeUnusedCgroup(path) {
  try {
    removeFolders(path);
  } catch (error) {
    if (error.code !== "EBUSY") throw error;
  }
}

/** Folders alone, which must be empty, as those of cgroups are. */
function removeFolders(path) {
  if (!existsSync(path)) return;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) removeFolders(join(path, entry.name));
  }
  rmdirSync(path);
}
