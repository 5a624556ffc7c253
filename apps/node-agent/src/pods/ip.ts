/**
 * Runs ip(8): in this process's network namespace (the node's) or, through nsenter(1), in a pod's.
 *
 * A pod is attached with two processes; batches go in on stdin. Each run is bounded by a time-out.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { MeshError } from "@isthmus/model";

const TIMEOUT_MS = 10_000;
const OUTPUT_MAX = 4 * 1024 * 1024;

/** Resolves with stdout. Rejects with `IP` and what ip said. */
export function ip(args: readonly string[]): Promise<string> {
  return run("ip", args, "");
}

export async function ipBatch(lines: readonly string[]): Promise<void> {
  await run("ip", ["-batch", "-"], `${lines.join("\n")}\n`);
}

/** `netns` as this process sees it. */
export async function ipBatchIn(netns: string, lines: readonly string[]): Promise<void> {
  await run("nsenter", [`--net=${netns}`, "ip", "-batch", "-"], `${lines.join("\n")}\n`);
}

export function ipIn(netns: string, args: readonly string[]): Promise<string> {
  return run("nsenter", [`--net=${netns}`, "ip", ...args], "");
}

function run(command: string, args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: "pipe", timeout: TIMEOUT_MS });
    const out = collect(child.stdout);
    const err = collect(child.stderr);
    child.stdin.on("error", () => undefined); // the exit code tells
    child.stdin.end(input);
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) return resolve(out());
      reject(new MeshError({ code: "IP" }, `Cannot run "${command} ${args.join(" ")}": ${reason(child, err())}`));
    });
  });
}

function collect(stream: NodeJS.ReadableStream): () => string {
  let text = "";
  stream.on("data", (chunk: Buffer) => {
    if (text.length < OUTPUT_MAX) text += chunk.toString();
  });
  return () => text;
}

function reason(child: ChildProcess, stderr: string): string {
  const said = stderr.trim().split("\n")[0] ?? "";
  return said === "" ? `exit ${child.exitCode ?? child.signalCode}` : said;
}
