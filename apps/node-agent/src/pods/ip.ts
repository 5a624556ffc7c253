/**
 * Runs ip(8): in this process's network namespace (the node's) or, through nsenter(1), in a pod's.
 *
 * To attach a pod takes two processes; batches are passed on stdin. Each run has a time-out.
 */
import { spawn } from "node:child_process";
import { MeshError } from "@isthmus/model";

const TIMEOUT_MS = 10_000;
const OUTPUT_MAX = 4 * 1024 * 1024;

/** Resolves with stdout. Rejects with `IP` and the error of ip. */
export function ip(args: readonly string[]): Promise<string> {
  return run("ip", args, "");
}

export async function ipBatch(lines: readonly string[]): Promise<void> {
  await run("ip", ["-batch", "-"], `${lines.join("\n")}\n`);
}

export interface FailedLine {
  readonly line: string;
  /** The error that ip printed. */
  readonly reason: string;
}

/** Runs every line, also after one that failed. Rejects when ip cannot be run. */
export async function ipBatchAll(lines: readonly string[]): Promise<readonly FailedLine[]> {
  const { code, stderr } = await runToEnd("ip", ["-force", "-batch", "-"], `${lines.join("\n")}\n`);
  const failed = failedLines(lines, stderr);
  if (code !== 0 && failed.length === 0) throw failure("ip -force -batch -", code, stderr);
  return failed;
}

/** ip prints the error, then `Command failed -:<number of the line>`. */
export function failedLines(lines: readonly string[], stderr: string): readonly FailedLine[] {
  const failed: FailedLine[] = [];
  let reason = "";
  for (const text of stderr.split("\n")) {
    const number = /^Command failed .*:(\d+)$/.exec(text)?.[1];
    if (number === undefined) reason ||= text.trim();
    else {
      failed.push({ line: lines[Number(number) - 1] ?? "", reason });
      reason = "";
    }
  }
  return failed;
}

/** `netns` as this process sees it. */
export async function ipBatchIn(netns: string, lines: readonly string[]): Promise<void> {
  await run("nsenter", [`--net=${netns}`, "ip", "-batch", "-"], `${lines.join("\n")}\n`);
}

export function ipIn(netns: string, args: readonly string[]): Promise<string> {
  return run("nsenter", [`--net=${netns}`, "ip", ...args], "");
}

async function run(command: string, args: readonly string[], input: string): Promise<string> {
  const { code, stdout, stderr } = await runToEnd(command, args, input);
  if (code !== 0) throw failure([command, ...args].join(" "), code, stderr);
  return stdout;
}

interface Exit {
  /** The exit code, or the signal that ended the process. */
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

function runToEnd(command: string, args: readonly string[], input: string): Promise<Exit> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: "pipe", timeout: TIMEOUT_MS });
    const out = collect(child.stdout);
    const err = collect(child.stderr);
    child.stdin.on("error", () => undefined); // the exit code shows it
    child.stdin.end(input);
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code: code ?? `${signal}`, stdout: out(), stderr: err() }));
  });
}

function collect(stream: NodeJS.ReadableStream): () => string {
  let text = "";
  stream.on("data", (chunk: Buffer) => {
    if (text.length < OUTPUT_MAX) text += chunk.toString();
  });
  return () => text;
}

function failure(command: string, code: number | string, stderr: string): MeshError {
  const [reason = ""] = stderr.trim().split("\n");
  return new MeshError({ code: "IP" }, `Cannot run "${command}": ${reason === "" ? `exit ${code}` : reason}`);
}
