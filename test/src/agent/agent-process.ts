/**
 * The real agent as a process, on a test node: a network namespace, a folder as its root, a cgroup, pins.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, rmdir, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { type Datapath, openDatapath, removePins } from "@isthmus/bpf";
import { makeCgroup, OBJECTS } from "@isthmus/bpf/testing";
import { SERVER } from "./stream-server.js";

export interface AgentNode {
  readonly netns: string;
  readonly tlsDir: string;
  readonly stateDir: string;
  /** `more`: arguments after those of the options. */
  start(...more: readonly string[]): AgentProcess;
  /** Opens the maps, runs `work`, and closes them; only while no agent runs. */
  look<T>(work: (maps: Datapath) => Promise<T>): Promise<T>;
  /** Removes the pins, as a reboot does. */
  forgetMaps(): Promise<void>;
  ip(...args: readonly string[]): string;
  /** Writes this file under /proc/sys. */
  setting(file: string, value: string): void;
  metrics(): string;
  /** The response of /readyz. */
  readyz(): string;
  /** The result of a connect to port 80 from a process in a cgroup (relative to the node's, created if missing). */
  dialFrom(cgroup: string, address: string): string;
  /** Calls the installed CNI plugin for a new network namespace, as a runtime that passes the pod's cgroup; returns its result. */
  cniAdd(pod: string, podCgroup: string): { readonly code?: number; readonly msg?: string; readonly ips?: unknown };
  /** Whether the CNI configuration is written. */
  readonly configured: boolean;
}

export interface AgentProcess {
  readonly log: readonly string[];
  /** Resolves with the exit code, or null after a signal. */
  readonly ended: Promise<number | null>;
  kill(signal?: NodeJS.Signals): Promise<number | null>;
}

const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));
const HEALTH = "127.0.0.1:9444";
const GET = `fetch(process.argv[1], { signal: AbortSignal.timeout(5000) })
  .then((answer) => answer.text()).then((text) => process.stdout.write(text))`;

let counter = 0;

export interface AgentNodeOptions {
  /** Path of the pods' cgroup below the node's; it exists before the agent starts. */
  readonly podsCgroup?: string;
  readonly arguments?: readonly string[];
}

export async function createAgentNode(
  t: TestContext,
  node: string,
  options: AgentNodeOptions = {},
): Promise<AgentNode> {
  const id = `magent${process.pid}-${counter++}`;
  const root = await mkdtemp(join(tmpdir(), "magent-"));
  const cgroup = makeCgroup(id);
  const bpffs = join("/sys/fs/bpf", id);
  const children = new Set<ChildProcess>();
  const forgetMaps = () => removePins(bpffs);
  const nsenter = [`--net=/run/netns/${id}`];
  const namespaces: string[] = [];
  const addNamespace = (name: string) => {
    execFileSync("ip", ["netns", "add", name]);
    namespaces.push(name);
  };
  addNamespace(id);
  execFileSync("nsenter", [...nsenter, "ip", "link", "set", "lo", "up"]);
  await mkdir(join(root, "run"));
  await symlink("/run/netns", join(root, "run/netns"));
  await mkdir(join(root, "tls"));
  if (options.podsCgroup !== undefined) await mkdir(join(cgroup.path, options.podsCgroup), { recursive: true });
  t.after(async () => {
    for (const child of children) await stop(child, "SIGKILL");
    if (existsSync(bpffs)) await forgetMaps();
    for (const name of namespaces) execFileSync("ip", ["netns", "del", name]);
    await removeTree(cgroup.path);
    await rm(root, { recursive: true, force: true });
  });
  const args = [
    ["--node", node],
    ["--node-root", root],
    ["--cgroup", cgroup.path],
    ["--bpffs", bpffs],
    ["--servers", SERVER],
    ["--tls-dir", join(root, "tls")],
    ["--health", HEALTH],
    ["--cni-plugin", join(REPOSITORY, "apps/cni/build/isthmus-cni")],
    options.arguments ?? [],
  ].flat();
  const get = [process.execPath, "-e", GET];
  const ask = (path: string) => execFileSync("nsenter", [...nsenter, ...get, `http://${HEALTH}${path}`]).toString();

  return {
    netns: id,
    tlsDir: join(root, "tls"),
    stateDir: join(root, "var/lib/isthmus/agent"),
    start(...more) {
      const main = join(REPOSITORY, "apps/node-agent/dist/main.js");
      const command = [...nsenter, process.execPath, main, ...args, ...more];
      const child = spawn("nsenter", command, { stdio: ["ignore", "ignore", "pipe"] });
      children.add(child);
      return follow(child);
    },
    async look(work) {
      const maps = await openDatapath({ bpffs, objectDir: OBJECTS, config: { clusterId: 1 } });
      try {
        return await work(maps);
      } finally {
        maps.close();
      }
    },
    forgetMaps,
    ip: (...words) => execFileSync("nsenter", [...nsenter, "ip", ...words]).toString(),
    setting: (file, value) =>
      void execFileSync("nsenter", [...nsenter, "sh", "-c", `echo ${value} > /proc/sys/${file}`]),
    metrics: () => ask("/metrics"),
    readyz: () => ask("/readyz"),
    dialFrom(path, address) {
      const folder = join(cgroup.path, path);
      mkdirSync(folder, { recursive: true });
      const enter = `echo $$ > ${folder}/cgroup.procs; exec nsenter ${nsenter[0]} "$@"`;
      return execFileSync("sh", ["-c", enter, "sh", process.execPath, "-e", DIAL, address]).toString();
    },
    cniAdd(pod, podCgroup) {
      const socket = join(root, "run/isthmus/cni.sock");
      const netns = `${id}-${pod}`;
      if (!namespaces.includes(netns)) addNamespace(netns);
      const config = { cniVersion: "1.0.0", name: "isthmus", socket, runtimeConfig: { cgroupPath: podCgroup } };
      const { stdout } = spawnSync(join(root, "opt/cni/bin/isthmus-cni"), {
        input: JSON.stringify(config),
        env: { CNI_COMMAND: "ADD", CNI_CONTAINERID: pod, CNI_NETNS: `/run/netns/${netns}`, CNI_IFNAME: "eth0" },
      });
      return JSON.parse(stdout.toString());
    },
    get configured() {
      return existsSync(join(root, "etc/cni/net.d/05-isthmus.conflist"));
    },
  };
}

/** Prints the result of a connect; runs inside the given cgroup. */
const DIAL = `require("net").connect({ host: process.argv[1], port: 80, timeout: 5000 })
  .on("error", (error) => process.stdout.write(error.code)).on("connect", () => process.exit(0))`;

/** Removes a tree of cgroups without processes. */
async function removeTree(path: string): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeTree(join(path, entry.name));
  }
  await rmdir(path);
}

function follow(child: ChildProcess): AgentProcess {
  const log: string[] = [];
  let rest = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop() ?? "";
    log.push(...lines);
  });
  const ended = once(child, "exit").then(([code]) => code as number | null);
  return { log, ended, kill: (signal = "SIGKILL") => stop(child, signal) };
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }
  return child.exitCode;
}
