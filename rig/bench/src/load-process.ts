/** Programs that make load, in a network namespace and on one processor: migration causes most of the noise. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** Starts a program there, with its standard output in a pipe. `cgroup`: path of the cgroup in which it runs; by default ours. */
export function startPinned(
  netns: string,
  cpu: number,
  program: string,
  args: readonly string[],
  cgroup?: string,
): ChildProcess {
  const command = ["nsenter", `--net=/run/netns/${netns}`, "taskset", "-c", String(cpu), program, ...args];
  const enter = cgroup === undefined ? "" : 'echo $$ >"$0/cgroup.procs"; ';
  return spawn("sh", ["-c", `${enter}exec "$@"`, cgroup ?? "sh", ...command], { stdio: ["ignore", "pipe", "inherit"] });
}

/** All that a program prints until it ends. Rejects unless it ends with 0. */
export async function outputOf(child: ChildProcess): Promise<string> {
  let text = "";
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`Cannot run the load: it ended with ${code}`);
  return text;
}
