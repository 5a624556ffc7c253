/**
 * A separate container engine for this rig: podman with its own storage, settings and network namespace.
 *
 *   the machine ── storage and images below the cache, without a network
 *      └─ network namespace "isthmus-kind" ── podman's networks, rules and published ports, nodes, CLI
 *
 * Invariant: after `restoreMachine` only the cache is left, even after a run that was killed.
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
/** Folders that podman and runc leave behind. */
const TRACES = ["/run/containers", "/run/runc", "/run/crun"];
/** Settings of the whole machine that a node's kubelet and systemd (privileged containers) and `openNetwork` change. */
const SYSCTLS = [
  "vm/overcommit_memory",
  "vm/panic_on_oom",
  "kernel/panic",
  "kernel/panic_on_oops",
  // The limit of a pid namespace, and of the whole machine before Linux 6.14.
  "kernel/pid_max",
  "kernel/keys/root_maxkeys",
  "kernel/keys/root_maxbytes",
  "fs/file-max",
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
    // The rig's network namespace has no route out, so its nodes cannot use the machine's proxy.
    ...Object.fromEntries(["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"].map((name) => [name, ""])),
    ...more,
  };
  return env;
}

export function writeSettings() {
  mkdirSync(CACHE, { recursive: true });
  // runc and cgroupfs work with cgroup v1, and without systemd on the machine.
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

/** This process's limits: podman's defaults are higher, and raising a limit needs CAP_SYS_RESOURCE. Podman lowers nproc to pid_max. */
function ulimits() {
  const limits = readFileSync("/proc/self/limits", "utf8");
  const hard = (title) => Number(new RegExp(`^${title} +\\S+ +(\\d+)`, "m").exec(limits)?.[1] ?? 1_048_576);
  const processes = Math.min(hard("Max processes"), Number(readFileSync("/proc/sys/kernel/pid_max", "utf8")));
  return [`nofile=${hard("Max open files")}:${hard("Max open files")}`, `nproc=${processes}:${processes}`];
}

/** Returns the argv that runs a command in the rig's network namespace. */
export function inside(argv) {
  return ["nsenter", `--net=/run/netns/${NETNS}`, "--", ...argv];
}

/** Saves the state of the machine before podman runs for the first time. */
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
  // kind binds this folder into every node; a machine whose kernel has no modules may lack it.
  mkdirSync(MODULES, { recursive: true });
  if (networkIsOpen()) return;
  // Labs and two kind clusters together need more than the usual 128.
  const inotify = "/proc/sys/fs/inotify/max_user_instances";
  if (Number(readFileSync(inotify, "utf8")) < 512) writeFileSync(inotify, "512");
  execFileSync("ip", ["netns", "add", NETNS]);
  execFileSync("ip", ["-n", NETNS, "link", "set", "lo", "up"]);
}

/** Removes containers, networks and the namespace, and reverts what podman and nodes changed on the machine; images stay. */
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

/** Removes containers of interrupted builds, which podman lists as external. */
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

/** Existing cgroups in each hierarchy of cgroup v1 or v2: those of containers, and those that interrupted builds leave. */
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

/** Removes the cgroup unless it is in use by another podman that was started since. */
function removeUnusedCgroup(path) {
  try {
    removeFolders(path);
  } catch (error) {
    if (error.code !== "EBUSY") throw error;
  }
}

/** Removes a tree of folders without files, such as cgroups. */
function removeFolders(path) {
  if (!existsSync(path)) return;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) removeFolders(join(path, entry.name));
  }
  rmdirSync(path);
}
