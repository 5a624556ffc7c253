/**
 * Two pods on a node as network namespaces: client and server, each with a veth to the node, which routes between
 * them with plain kernel forwarding, without netfilter; and a cgroup for the client.
 */
import { type ChildProcess, execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findCgroup2, makeCgroup } from "@isthmus/bpf/testing";
import { outputOf, startPinned } from "../load-process.js";

export const SERVER = "10.244.1.10";
export const PORT = 9000;
/** Ports on which the server listens: the backends of every service. */
export const PORTS = 10;

const SOURCE = fileURLToPath(new URL("../../src/datapath/load.c", import.meta.url));

export interface Rig {
  readonly cgroup: string;
  /** Runs the load generator in the client's namespace, on the first CPU; resolves to its output. */
  run(args: readonly string[]): Promise<string>;
  remove(): Promise<void>;
}

/** `name`: the prefix of all names, at most 8 characters. */
export async function makeRig(name: string): Promise<Rig> {
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  const load = join(folder, "load");
  execFileSync("cc", ["-O2", "-static", "-o", load, SOURCE], { stdio: "inherit" });
  const namespaces = ["node", "client", "server"].map((role) => `${name}-${role}`) as [string, string, string];
  const cgroup = makeCgroup(`${name}-pods`);
  const undo: (() => void)[] = [() => rmSync(folder, { recursive: true }), () => cgroup.remove()];
  try {
    for (const namespace of namespaces) {
      ip("netns", "add", namespace);
      undo.unshift(() => ip("netns", "del", namespace));
    }
    connectPods(name, namespaces);
    const server = await startServer(load, namespaces[2]);
    return {
      cgroup: cgroup.path,
      run: (args) => outputOf(startPinned(namespaces[1], 0, load, args)),
      remove: async () => {
        const exit = once(server, "exit");
        server.kill("SIGTERM");
        await exit;
        for (const step of undo) step();
      },
    };
  } catch (error) {
    for (const step of undo) step();
    throw error;
  }
}

function connectPods(name: string, [node, client, server]: readonly [string, string, string]): void {
  for (const [namespace, address, side] of [
    [client, "10.244.1.2", "c"],
    [server, SERVER, "s"],
  ] as const) {
    const [inside, outside] = [`${name}${side}0`, `${name}${side}1`];
    ip("link", "add", inside, "netns", namespace, "type", "veth", "peer", "name", outside, "netns", node);
    ip("-n", namespace, "addr", "add", `${address}/32`, "dev", inside);
    ip("-n", namespace, "link", "set", inside, "up");
    ip("-n", namespace, "link", "set", "lo", "up");
    ip("-n", node, "link", "set", outside, "up");
    ip("-n", node, "addr", "add", "169.254.1.1/32", "dev", outside, "noprefixroute");
    ip("-n", node, "route", "add", `${address}/32`, "dev", outside);
    ip("-n", namespace, "route", "add", "169.254.1.1/32", "dev", inside, "scope", "link");
    ip("-n", namespace, "route", "add", "default", "via", "169.254.1.1", "dev", inside);
  }
  execFileSync("nsenter", [`--net=/run/netns/${node}`, "sysctl", "-qw", "net.ipv4.ip_forward=1"]);
}

async function startServer(load: string, namespace: string): Promise<ChildProcess> {
  const server = startPinned(namespace, availableParallelism() > 1 ? 1 : 0, load, [
    "serve",
    String(PORT),
    String(PORTS),
  ]);
  const first =
    server.stdout === null ? undefined : await Promise.race([once(server.stdout, "data"), once(server, "exit")]);
  if (server.exitCode !== null || first === undefined) throw new Error("Cannot start the server");
  return server;
}

function ip(...args: string[]): void {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"] });
}

/** Throws an error with one sentence when this machine cannot run the benchmark. */
export function checkMachine(): void {
  if (process.getuid?.() !== 0) throw new Error("Cannot make network namespaces: run as root");
  findCgroup2();
}
