/**
 * A node for tests: a network namespace with a folder as its root, an agent process that can be killed, and pods as
 * further namespaces. All names begin with `mcni`; everything is removed at the end of the test.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import type { PodsOptions } from "../types.js";
import { buildPlugin } from "./build-plugin.js";
import { createFaultInjector, type FaultInjector } from "./fault-injector.js";

export interface ReportedPod {
  readonly address: string;
  readonly uid: string;
}

export interface TestAgent {
  /** Reports of pods. */
  readonly events: readonly { readonly up?: ReportedPod; readonly down?: ReportedPod }[];
  /** The last reported condition, as `type: message`. */
  readonly condition: string;
  /** The last reported health address; "none" = the node has none, "" = nothing was reported yet. */
  readonly health: string;
  setCidrs(...cidrs: readonly string[]): void;
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Resolves when the process has ended for any reason. */
  readonly ended: Promise<void>;
}

export interface CniOutcome {
  readonly code: number | null;
  readonly text: string;
  readonly error: { readonly code?: number; readonly msg?: string };
  readonly address: string | undefined;
}

export interface TestNode {
  readonly root: string;
  readonly netns: string;
  /** `setup`: a shell command to run before the agent, in a new mount namespace. */
  startAgent(setup?: string): Promise<TestAgent>;
  /** Injects faults into the netlink requests of the agents of this node. */
  readonly faults: FaultInjector;
  /** Creates a namespace for a pod; returns its path as the node's runtime would pass it. */
  addPod(name: string): string;
  deletePod(name: string): void;
  podNamespace(name: string): string;
  /** Calls the installed plugin as a runtime does. */
  cni(command: string, container: string, netns: string): Promise<CniOutcome>;
  /** The same, but returns the process, so that a test can kill it. */
  startCni(command: string, container: string, netns: string): ChildProcess;
  /** `ip` in the node's namespace. */
  ip(...args: readonly string[]): string;
  inPod(name: string, ...command: readonly string[]): string;
}

let counter = 0;

export async function createTestNode(t: TestContext): Promise<TestNode> {
  const id = `mcni${process.pid}-${counter++}`;
  const netns = `/run/netns/${id}`;
  const root = await mkdtemp(join(tmpdir(), "mcni-"));
  const children = new Set<ChildProcess>();
  const namespaces = [id];
  execFileSync("ip", ["netns", "add", id]);
  t.after(async () => {
    for (const child of children) await stop(child, "SIGKILL");
    for (const name of namespaces) execFileSync("ip", ["netns", "del", name]);
    await rm(root, { recursive: true, force: true });
  });
  await mkdir(join(root, "run"));
  await symlink("/run/netns", join(root, "run/netns"));
  const options: PodsOptions = {
    nodeRoot: root,
    socketPath: "/run/isthmus/cni.sock",
    cniBinDir: "/opt/cni/bin",
    cniConfDir: "/etc/cni/net.d",
    pluginPath: await buildPlugin(),
    stateDir: join(root, "var/lib/isthmus/agent"),
  };
  const faults = await createFaultInjector(join(root, "faults"));
  const podNamespace = (name: string) => `${id}-${name}`;

  function startCni(command: string, container: string, path: string): ChildProcess {
    const child = spawn(join(root, options.cniBinDir, "isthmus-cni"), {
      stdio: ["pipe", "pipe", "inherit"],
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: container,
        CNI_NETNS: path,
        CNI_IFNAME: "eth0",
        CNI_ARGS: `K8S_POD_NAMESPACE=shop;K8S_POD_NAME=${container};K8S_POD_UID=uid-${container}`,
      },
    });
    // The plugin runs in this process's root, not in the node's, so the path of the socket includes the node's root.
    child.stdin.end(JSON.stringify({ cniVersion: "1.0.0", name: "isthmus", socket: join(root, options.socketPath) }));
    return child;
  }

  return {
    root,
    netns,
    faults,
    async startAgent(setup) {
      const main = fileURLToPath(new URL("./agent-main.js", import.meta.url));
      const mounts = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", `${setup} && exec "$@"`, "sh"];
      const wrapper = setup === undefined ? [] : mounts;
      const child = spawn("nsenter", [`--net=${netns}`, ...wrapper, process.execPath, main, JSON.stringify(options)], {
        stdio: ["pipe", "pipe", "ignore"],
        env: { ...process.env, FAULTS: faults.folder },
      });
      children.add(child);
      return follow(child);
    },
    addPod(name) {
      execFileSync("ip", ["netns", "add", podNamespace(name)]);
      namespaces.push(podNamespace(name));
      return `/var/run/netns/${podNamespace(name)}`;
    },
    deletePod(name) {
      execFileSync("ip", ["netns", "del", podNamespace(name)]);
      namespaces.splice(namespaces.indexOf(podNamespace(name)), 1);
    },
    podNamespace,
    startCni,
    cni: async (command, container, path) => outcome(startCni(command, container, path)),
    ip: (...args) => execFileSync("nsenter", [`--net=${netns}`, "ip", ...args]).toString(),
    inPod: (name, ...command) =>
      execFileSync("nsenter", [`--net=/run/netns/${podNamespace(name)}`, ...command]).toString(),
  };
}

/** Waits until the agent is ready. */
async function follow(child: ChildProcess): Promise<TestAgent> {
  const events: { up?: ReportedPod; down?: ReportedPod; ready?: boolean; condition?: string; health?: string }[] = [];
  let condition = "";
  let health = "";
  if (child.stdout === null) throw new Error("no stdout");
  await new Promise<void>((resolve, reject) => {
    if (child.stdout === null) return;
    child.once("exit", () => reject(new Error("the agent ended before it was ready")));
    createInterface({ input: child.stdout }).on("line", (line) => {
      const event = JSON.parse(line) as (typeof events)[number];
      if (event.ready === true) resolve();
      else if (event.condition !== undefined) condition = event.condition;
      else if (event.health !== undefined) health = event.health;
      else events.push(event);
    });
  });
  return {
    events,
    get condition() {
      return condition;
    },
    get health() {
      return health;
    },
    setCidrs: (...cidrs) => void child.stdin?.write(`${JSON.stringify(cidrs)}\n`),
    kill: (signal = "SIGKILL") => stop(child, signal),
    ended: once(child, "exit").then(() => undefined),
  };
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}

async function outcome(child: ChildProcess): Promise<CniOutcome> {
  let text = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const [code] = (await once(child, "close")) as [number | null];
  const json = (text === "" ? {} : JSON.parse(text)) as { ips?: { address: string }[]; code?: number; msg?: string };
  return { code, text, error: json, address: json.ips?.[0]?.address.replace("/32", "") };
}
