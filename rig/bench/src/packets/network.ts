/**
 * Two nodes as network namespaces on one wire, each with pods: a client, and a server on each node. Packets between them go
 * by plain kernel routing, until programs are attached or rules are made.
 */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { makeCgroup } from "@isthmus/bpf/testing";
import { outputOf, startPinned } from "../load-process.js";
import type { Later } from "../undoing.js";

export type Mode = "requests" | "connects" | "both" | "stream";
/** From the client to the server of its node, or of the other one. */
export type Path = "same" | "other";

export interface Pod {
  readonly address: string;
  readonly netns: string;
  /** Index of the node's side of its veth. */
  readonly ifindex: number;
  readonly mac: string;
  readonly hostMac: string;
}

export interface NetworkNode {
  readonly name: string;
  readonly netns: string;
  readonly address: string;
  /** Of its pods' processes. */
  readonly cgroup: string;
  /** Index of the device that leads to the other node. */
  readonly uplink: number;
  readonly pods: readonly Pod[];
}

export interface Network {
  readonly nodes: readonly [NetworkNode, NetworkNode];
  /** Runs the client against an address; its figure. */
  measure(mode: Mode, address: string): Promise<number>;
}

export const CLIENT = "10.1.0.2";
/** On which servers listen, and Services. */
export const PORT = 9000;
export const PATHS = ["same", "other"] as const satisfies readonly Path[];
export const SERVERS: Readonly<Record<Path, string>> = { same: "10.1.0.3", other: "10.2.0.2" };
/** Of a Service for each server, where there are Services. */
export const CLUSTER_IPS: Readonly<Record<Path, string>> = { same: "10.96.0.10", other: "10.96.0.11" };
export const POD_RANGES = ["10.1.0.0/16", "10.2.0.0/16"] as const;

const GATEWAY = "169.254.1.1";
const SECONDS = 0.4;
/** Client and server share a processor, so that what packets cost is what limits them; a stream has both. */
const CPU = 1;

/** `name`: prefix of all names, at most 10 characters. `program`: the binary of net.c. */
export async function makeNetwork(name: string, program: string, later: Later): Promise<Network> {
  const makeNamespace = (role: string): string => {
    const netns = `${name}-${role}`;
    ip("netns", "add", netns);
    later(() => void ip("netns", "del", netns));
    ip("-n", netns, "link", "set", "lo", "up");
    return netns;
  };
  const [one, two] = [makeNamespace("n1"), makeNamespace("n2")];
  ip("-n", one, "link", "add", "wire0", "type", "veth", "peer", "name", "wire0", "netns", two);
  const pod = (node: string, address: string) =>
    makePod(node, makeNamespace(`p${address.replaceAll(".", "")}`), address);
  const client = pod(one, CLIENT);
  const nodes = [
    makeNode(1, one, [client, pod(one, SERVERS.same)], later),
    makeNode(2, two, [pod(two, SERVERS.other)], later),
  ] as const;
  for (const { pods, cgroup } of nodes)
    for (const each of pods) if (each !== client) await startServer(program, each, cgroup, later);
  const { cgroup } = nodes[0];
  return {
    nodes,
    async measure(mode, address) {
      const cpu = mode === "stream" ? 0 : CPU;
      return Number(await outputOf(startPinned(client.netns, cpu, program, [mode, address, `${SECONDS}`], cgroup)));
    },
  };
}

function makeNode(index: 1 | 2, netns: string, pods: readonly Pod[], later: Later): NetworkNode {
  const [address, other] = [`192.168.9.${index}`, `192.168.9.${3 - index}`];
  execFileSync("nsenter", [`--net=/run/netns/${netns}`, "sysctl", "-qw", "net.ipv4.ip_forward=1"]);
  ip("-n", netns, "addr", "add", `${address}/24`, "dev", "wire0");
  ip("-n", netns, "link", "set", "wire0", "up");
  ip("-n", netns, "route", "add", POD_RANGES[2 - index] ?? "", "via", other);
  const cgroup = makeCgroup(netns);
  later(() => cgroup.remove());
  return { name: `n${index}`, netns, address, cgroup: cgroup.path, uplink: indexOf(netns, "wire0"), pods };
}

function makePod(node: string, netns: string, address: string): Pod {
  const host = `p${address.replaceAll(".", "")}`;
  ip("-n", node, "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", netns);
  ip("-n", node, "link", "set", host, "up");
  ip("-n", netns, "link", "set", "eth0", "up");
  ip("-n", netns, "addr", "add", `${address}/32`, "dev", "eth0");
  ip("-n", netns, "route", "add", GATEWAY, "dev", "eth0");
  ip("-n", netns, "route", "add", "default", "via", GATEWAY, "dev", "eth0");
  ip("-n", node, "route", "add", `${address}/32`, "dev", host);
  const [mac, hostMac] = [macOf(netns, "eth0"), macOf(node, host)];
  ip("-n", netns, "neigh", "add", GATEWAY, "lladdr", hostMac, "dev", "eth0", "nud", "permanent");
  ip("-n", node, "neigh", "add", address, "lladdr", mac, "dev", host, "nud", "permanent");
  return { address, netns, ifindex: indexOf(node, host), mac, hostMac };
}

/** Resolves when it listens. */
async function startServer(program: string, { netns, address }: Pod, cgroup: string, later: Later): Promise<void> {
  const server = startPinned(netns, CPU, program, ["serve", address], cgroup);
  const ended = once(server, "exit");
  later(async () => {
    server.kill("SIGTERM");
    await ended;
  });
  if (server.stdout === null) throw new Error("Cannot start a server");
  const refuse = () => {
    throw new Error(`Cannot serve at ${address}`);
  };
  await Promise.race([once(server.stdout, "data"), ended.then(refuse)]);
}

function ip(...args: readonly string[]): string {
  return execFileSync("ip", args).toString();
}

function indexOf(netns: string, device: string): number {
  return Number(ip("-n", netns, "-o", "link", "show", device).split(":")[0]);
}

function macOf(netns: string, device: string): string {
  const mac = /link\/ether (\S+)/.exec(ip("-n", netns, "link", "show", device))?.[1];
  if (mac === undefined) throw new Error(`Cannot find the MAC of "${device}"`);
  return mac;
}
