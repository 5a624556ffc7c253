/** Programs that make load, in a network namespace and on one processor: migration causes most of the noise. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** Starts a program there, with its standard output in a pipe. */
export function startPinned(netns: string, cpu: number, program: string, args: readonly string[]): ChildProcess {
  const command = [`--net=/run/netns/${netns}`, "taskset", "-c", String(cpu), program, ...args];
  return spawn("nsenter", command, { stdio: ["ignore", "pipe", "inherit"] });
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
