/** Runs a short command to its end and returns its output; a non-zero exit is an error whose sentence contains the end of stderr. */
import { type SpawnOptions, spawn } from "node:child_process";
import { labError } from "../plan/errors.js";

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
  /** Called with each piece of stderr, for progress. */
  readonly onStderr?: (text: string) => void;
  /** File descriptor for stdin instead of `input`. */
  readonly stdinFd?: number;
}

export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const [command, ...args] = argv;
  if (command === undefined) throw labError("USAGE", "Cannot run an empty command");
  const result = await collect(command, args, options);
  if (result.code === 0) return result.stdout;
  const reason = lastLines(result.stderr || result.stdout, 12);
  throw labError("STEP_FAILED", `Cannot run "${argv.slice(0, 6).join(" ")}": ${reason || `exit ${result.code}`}`);
}

interface Collected {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

function collect(command: string, args: readonly string[], options: RunOptions): Promise<Collected> {
  return new Promise((resolve, reject) => {
    const spawnOptions: SpawnOptions = { stdio: [options.stdinFd ?? "pipe", "pipe", "pipe"] };
    if (options.env !== undefined) spawnOptions.env = options.env;
    if (options.cwd !== undefined) spawnOptions.cwd = options.cwd;
    if (options.signal !== undefined) spawnOptions.signal = options.signal;
    const child = spawn(command, args, spawnOptions);
    let stdout = "";
    let stderr = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-65_536);
      options.onStderr?.(text);
    });
    // After an abort, the signal's reason is more specific than the error.
    child.on("error", (error) => reject(options.signal?.aborted === true ? options.signal.reason : error));
    child.on("close", (code, signal) => resolve({ code: code ?? signal ?? "unknown", stdout, stderr }));
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(options.input);
  });
}

export function lastLines(text: string, count: number): string {
  return text.trimEnd().split("\n").slice(-count).join("\n");
}
