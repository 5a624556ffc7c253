/** Runs a program of this machine in the network namespace of a pod, for what the pod's image cannot do, such as TLS. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, readlink, stat } from "node:fs/promises";
import { createInterface } from "node:readline";
import { run } from "./run.js";

export interface PodProcess {
  /** Lines of output so far. */
  readonly lines: readonly string[];
  stop(): Promise<void>;
}

/** `ofNode`: pid of any process of the node, such as its kubelet. */
export async function startInPod(ofNode: number, address: string, argv: readonly string[]): Promise<PodProcess> {
  const network = await networkOf(ofNode, address);
  const child = spawn("nsenter", [`--net=${network}`, ...argv], { stdio: ["ignore", "pipe", "inherit"] });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => void lines.push(line));
  return {
    lines,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Sends SIGKILL to the processes of the pod whose command line begins with this program; returns their number. */
export async function killInPod(ofNode: number, address: string, program: string): Promise<number> {
  const { ino } = await stat(await networkOf(ofNode, address));
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map(async (pid) => ((await runs(pid, ino, program)) ? [Number(pid)] : [])));
  for (const pid of found.flat()) process.kill(pid, "SIGKILL");
  return found.flat().length;
}

async function runs(pid: string, network: number, program: string): Promise<boolean> {
  try {
    const command = await readFile(`/proc/${pid}/cmdline`, "latin1");
    return command.startsWith(`${program}\0`) && (await readlink(`/proc/${pid}/ns/net`)) === `net:[${network}]`;
  } catch {
    return false; // the process exited meanwhile
  }
}

/** Path of the network namespace on that node that has the address. */
export async function networkOf(ofNode: number, address: string): Promise<string> {
  const folder = `/proc/${ofNode}/root/run/netns`;
  for (const name of await readdir(folder)) {
    const path = `${folder}/${name}`;
    const { out } = await run("nsenter", [`--net=${path}`, "ip", "-o", "-4", "address", "show"]);
    if (out.includes(`inet ${address}/`)) return path;
  }
  throw new Error(`Cannot find the pod with address ${address}: no network of the node has it`);
}
