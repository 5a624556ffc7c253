/** Runs a program in a pod by `kubectl exec`, with its stdin open until the test ends it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { LabHandle } from "@isthmus/lab";
import type { Cluster } from "./cluster.js";
import { NAMESPACE } from "./objects.js";

export interface PodCommand {
  /** Lines of output so far. */
  readonly lines: readonly string[];
  /** Writes a line to its stdin. */
  write(line: string): void;
  /** Ends its stdin, at which the programs of the tests' image end; resolves with all lines, rejects unless it exits with 0. */
  end(): Promise<readonly string[]>;
  /** Ends it at once, if it runs. */
  kill(): void;
}

export function startPodCommand(
  lab: LabHandle,
  { plan }: Cluster,
  pod: string,
  ...argv: readonly string[]
): PodCommand {
  const where = ["--kubeconfig", lab.kubeconfig, "--context", plan.name, "-n", NAMESPACE];
  const child = spawn(`${lab.bin}/kubectl`, [...where, "exec", "-i", pod, "-c", "main", "--", ...argv], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = exitOf(child);
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => void lines.push(line));
  return {
    lines,
    write: (line) => void child.stdin.write(`${line}\n`),
    async end() {
      child.stdin.end();
      const code = await ended;
      if (code !== 0)
        throw new Error(`"${argv.join(" ")}" in pod "${pod}" ended with ${code}: ${lines.slice(-3).join("; ")}`);
      return lines;
    },
    kill: () => void child.kill("SIGKILL"),
  };
}

/** "close" comes when the output has been read too. */
async function exitOf(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, "close")) as [number | null];
  return code;
}
