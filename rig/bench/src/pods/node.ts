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
import { ADDRESS, type ClusterNotice } from "./cluster-notice.js";

export interface PodsNode {
  /** Calls the plugin for all pods at once; the milliseconds of each call. The pods of each round are other ones. */
  call(command: "ADD" | "DEL", round: number): Promise<readonly number[]>;
  /** Resolves when the cluster knows no address of a pod. */
  settle(): Promise<void>;
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
  /** The pods of each exist in the cluster. */
  readonly rounds: number;
}

const CLUSTER = fileURLToPath(new URL("./cluster.js", import.meta.url));
const POD_CIDR = "10.1.0.0/24";
const START_MS = 30_000;
/** A Kubernetes API does not start without an address and a default route. */
const NETWORK = [
  "link set lo up",
  "link add uplink type veth peer name wire",
  `addr add ${ADDRESS}/16 dev uplink`,
  "link set wire up",
  "link set uplink up",
  "route add default dev uplink",
];

export async function startNode({ name, mode, calls, pods, rounds }: PodsNodeOptions, later: Later): Promise<PodsNode> {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-pods-"));
  later(() => rmSync(folder, { recursive: true, force: true }));
  const root = join(folder, "root");
  mkdirSync(join(root, "run"), { recursive: true });
  symlinkSync("/run/netns", join(root, "run/netns"));
  execFileSync("ip", ["netns", "add", name]);
  later(() => void execFileSync("ip", ["netns", "del", name]));
  for (const args of NETWORK) execFileSync("ip", ["-n", name, ...args.split(" ")]);
  const cgroup = makeCgroup(name);
  later(() => removeCgroups(cgroup.path));
  const pins = join("/sys/fs/bpf", name);
  later(() => (existsSync(pins) ? removePins(pins, `/run/netns/${name}`) : undefined));
  const tls = await makeCertificates(folder);
  const names = Array.from({ length: rounds }, (_, round) => pods.map((pod) => `${pod}-${round}`)).flat();
  const cluster = startIn(
    name,
    [process.execPath, [CLUSTER, tls.server, POD_CIDR, ...names]],
    { signal: "SIGTERM", channel: "ipc" },
    later,
  );
  const uids = await uidsOf(cluster);
  const agent = startIn(
    name,
    agentCommand({ root, cgroup: cgroup.path, pins, tlsDir: tls.agent, mode }),
    { signal: "SIGKILL" },
    later,
  );
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
      const named = pods.flatMap((pod, i) => [pod, uids[round * pods.length + i] ?? ""]);
      const child = spawn(calls, [command, PLUGIN, config, String(round), ...named], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const [out, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
      if (code !== 0) throw new Error(`Cannot measure: ${command} ended with ${code}`);
      return out.trim().split("\n").map(Number);
    },
    async settle() {
      const notice = noticeOf(cluster);
      cluster.send({});
      await notice;
    },
    async podRows() {
      const index = native().openPin(join(pins, MAP_NAMES.endpointIndex));
      const rows = await createHashMap(MAP_NAMES.endpointIndex, index).load();
      index.close();
      return rows.size;
    },
  };
}

/** Resolves when it serves. */
async function uidsOf(cluster: ChildProcess): Promise<readonly string[]> {
  const notice = await noticeOf(cluster);
  if (!("uids" in notice)) throw new Error("Cannot measure: the cluster did not say its pods");
  return notice.uids;
}

/** The next one. Rejects when the cluster ends before it. */
async function noticeOf(cluster: ChildProcess): Promise<ClusterNotice> {
  const waiting = new AbortController();
  const { signal } = waiting;
  const ended = once(cluster, "exit", { signal }).then(([code]) => {
    throw new Error(`Cannot measure: the cluster ended with ${code}`);
  });
  try {
    const [notice] = await Promise.race([once(cluster, "message", { signal }) as Promise<[ClusterNotice]>, ended]);
    return notice;
  } finally {
    waiting.abort();
    await ended.catch(() => undefined);
  }
}

interface StartOptions {
  /** Ends it. */
  readonly signal: NodeJS.Signals;
  readonly channel?: "ipc";
}

function startIn(
  netns: string,
  [program, args]: [string, string[]],
  options: StartOptions,
  later: Later,
): ChildProcess {
  const env = { ...process.env, MESH_LOG: "warn" };
  const argv = [`--net=/run/netns/${netns}`, program, ...args];
  const child = spawn("nsenter", argv, { stdio: ["ignore", "ignore", "inherit", options.channel], env });
  const ended = once(child, "exit");
  later(async () => {
    child.kill(options.signal);
    await ended;
  });
  return child;
}
