/** A node in a network namespace with the real agent in one mode, and the real CNI plugin. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { createHashMap, type DatapathMode, MAP_NAMES, native, removePins } from "@isthmus/bpf";
import { makeCgroup } from "@isthmus/bpf/testing";
import { waitFor } from "@isthmus/runtime";
import { agentCommand, makeCertificates, PLUGIN, removeCgroups } from "../agent-process.js";
import type { Later } from "../undoing.js";

export interface PodsNode {
  /** Calls the plugin for all pods at once; the milliseconds of each call. The pods of each round are other ones. */
  call(command: "ADD" | "DEL", round: number): Promise<readonly number[]>;
  /** Pods that the programs of mode `packets` know. */
  podRows(): Promise<number>;
}

export interface PodsNodeOptions {
  /** Prefix of all names. */
  readonly name: string;
  readonly mode: DatapathMode;
  /** The binary of calls.c. */
  readonly calls: string;
  /** Network namespaces of the pods. */
  readonly pods: readonly string[];
}

const APISERVER = fileURLToPath(new URL("./apiserver.js", import.meta.url));
const POD_CIDR = "10.1.0.0/24";
const START_MS = 30_000;

export async function startNode({ name, mode, calls, pods }: PodsNodeOptions, later: Later): Promise<PodsNode> {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-pods-"));
  later(() => rmSync(folder, { recursive: true, force: true }));
  const root = join(folder, "root");
  mkdirSync(join(root, "run"), { recursive: true });
  symlinkSync("/run/netns", join(root, "run/netns"));
  execFileSync("ip", ["netns", "add", name]);
  later(() => void execFileSync("ip", ["netns", "del", name]));
  execFileSync("ip", ["-n", name, "link", "set", "lo", "up"]);
  const cgroup = makeCgroup(name);
  later(() => removeCgroups(cgroup.path));
  const pins = join("/sys/fs/bpf", name);
  later(() => (existsSync(pins) ? removePins(pins, `/run/netns/${name}`) : undefined));
  const tls = await makeCertificates(folder);
  startIn(name, [process.execPath, [APISERVER, tls.server, POD_CIDR]], later);
  const agent = startIn(name, agentCommand({ root, cgroup: cgroup.path, pins, tlsDir: tls.agent, mode }), later);
  const config = join(folder, "config.json");
  const socket = join(root, "run/isthmus/cni.sock");
  writeFileSync(config, JSON.stringify({ cniVersion: "1.0.0", name: "isthmus", socket }));
  const isReady = () => {
    if (agent.exitCode !== null) throw new Error(`Cannot measure: the agent ended with ${agent.exitCode}`);
    return existsSync(join(root, "etc/cni/net.d/05-isthmus.conflist"));
  };
  await waitFor("the agent to know its pod CIDR", isReady, { timeoutMs: START_MS });
  return {
    async call(command, round) {
      const child = spawn(calls, [command, PLUGIN, config, String(round), ...pods], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const [out, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
      if (code !== 0) throw new Error(`Cannot measure: ${command} ended with ${code}`);
      return out.trim().split("\n").map(Number);
    },
    async podRows() {
      const index = native().openPin(join(pins, MAP_NAMES.endpointIndex));
      const rows = await createHashMap(MAP_NAMES.endpointIndex, index).load();
      index.close();
      return rows.size;
    },
  };
}

function startIn(netns: string, [program, args]: [string, string[]], later: Later): ChildProcess {
  const env = { ...process.env, MESH_LOG: "warn" };
  const argv = [`--net=/run/netns/${netns}`, program, ...args];
  const child = spawn("nsenter", argv, { stdio: ["ignore", "ignore", "inherit"], env });
  const ended = once(child, "exit");
  later(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  return child;
}
