/**
 * The real agent as a process, on a node of the test's own: a network namespace, a folder as its root, a cgroup, pins.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, rmdir } from "node:fs/promises";
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
  start(): AgentProcess;
  /** Opens the maps, looks, and closes them; only while no agent runs. */
  look<T>(work: (maps: Datapath) => Promise<T>): Promise<T>;
  /** Takes the pins away, as a reboot does. */
  forgetMaps(): void;
  ip(...args: readonly string[]): string;
  metrics(): string;
  /** The CNI configuration is written. */
  readonly configured: boolean;
}

export interface AgentProcess {
  readonly log: readonly string[];
  /** Resolves with the exit code, null after a signal. */
  readonly ended: Promise<number | null>;
  kill(signal?: NodeJS.Signals): Promise<number | null>;
}

const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));
const HEALTH = "127.0.0.1:9444";

let counter = 0;

export async function createAgentNode(t: TestContext, node: string): Promise<AgentNode> {
  const id = `magent${process.pid}-${counter++}`;
  const root = await mkdtemp(join(tmpdir(), "magent-"));
  const cgroup = makeCgroup(id);
  const bpffs = join("/sys/fs/bpf", id);
  const kubepods = join(cgroup.path, "kubepods");
  const children = new Set<ChildProcess>();
  const forgetMaps = () => removePins(bpffs);
  const nsenter = [`--net=/run/netns/${id}`];
  execFileSync("ip", ["netns", "add", id]);
  execFileSync("nsenter", [...nsenter, "ip", "link", "set", "lo", "up"]);
  await mkdir(join(root, "run"));
  await mkdir(join(root, "tls"));
  t.after(async () => {
    for (const child of children) await stop(child, "SIGKILL");
    if (existsSync(bpffs)) forgetMaps();
    execFileSync("ip", ["netns", "del", id]);
    if ((await readdir(cgroup.path)).includes("kubepods")) await rmdir(kubepods);
    cgroup.remove();
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
  ].flat();

  return {
    netns: id,
    tlsDir: join(root, "tls"),
    stateDir: join(root, "var/lib/isthmus/agent"),
    start() {
      const main = join(REPOSITORY, "apps/node-agent/dist/main.js");
      const command = [...nsenter, process.execPath, main, ...args];
      const child = spawn("nsenter", command, { stdio: ["ignore", "ignore", "pipe"] });
      children.add(child);
      return follow(child);
    },
    async look(work) {
      const maps = await openDatapath({ bpffs, cgroup: kubepods, objectDir: OBJECTS, config: { clusterId: 1 } });
      try {
        return await work(maps);
      } finally {
        maps.close();
      }
    },
    forgetMaps,
    ip: (...words) => execFileSync("nsenter", [...nsenter, "ip", ...words]).toString(),
    metrics: () =>
      execFileSync("nsenter", [...nsenter, "curl", "-s", "--max-time", "2", `http://${HEALTH}/metrics`]).toString(),
    get configured() {
      return existsSync(join(root, "etc/cni/net.d/05-isthmus.conflist"));
    },
  };
}

/** Waits for a condition, at most 20 s. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const end = Date.now() + 20_000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`Waited 20 s in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
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
