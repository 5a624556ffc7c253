/** Runs a client in a pod: in its network namespace and control group, as a process of the pod would. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { ClientOrder, ClientProgram } from "./client-programs.js";
import { createLedger, type Ledger } from "./ledger.js";

/** A process of the pod. */
export interface PodPlace {
  readonly pid: number;
  /** Where cgroup2 is mounted. */
  readonly cgroups: string;
}

export interface RunningClient {
  readonly ledger: Ledger;
  /** Lets it finish its requests; throws when it failed by itself. */
  end(): Promise<void>;
}

export async function startClient(
  client: ClientProgram,
  order: ClientOrder,
  { pid, cgroups }: PodPlace,
  folder: string,
): Promise<RunningClient> {
  const command = await client.command(order, folder);
  const cgroup = join(cgroups, cgroupOf(readFileSync(`/proc/${pid}/cgroup`, "utf8")));
  const enter = ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', cgroup, "nsenter", `--net=/proc/${pid}/ns/net`];
  const child = spawn(enter[0] ?? "", [...enter.slice(1), ...command], { stdio: ["ignore", "pipe", "pipe"] });
  const ledger = createLedger();
  const errors: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => void errors.push(line));
  const lines = createInterface({ input: child.stdout });
  const read = client.createReader?.() ?? ((line: string) => line);
  lines.on("line", (text) => {
    const line = read(text);
    if (line !== undefined) ledger.line(line);
  });
  const ended = Promise.all([once(child, "close"), once(lines, "close")]).then(([[code, signal]]) => ({
    code,
    signal,
  }));
  return {
    ledger,
    async end() {
      const early = child.exitCode !== null;
      child.kill("SIGTERM");
      const { code, signal } = await ended;
      // curl ends by the signal.
      if (early || (code !== 0 && signal !== "SIGTERM"))
        throw new Error(`Client "${client.name}" ended with ${code ?? signal}: ${errors.at(-1) ?? "no message"}`);
    },
  };
}

/** The group in cgroup2, of the text of /proc/PID/cgroup. */
export function cgroupOf(text: string): string {
  const line = text.split("\n").find((each) => each.startsWith("0::"));
  if (line === undefined) throw new Error("Cannot find the group of a process in cgroup2");
  return line.slice("0::".length);
}
