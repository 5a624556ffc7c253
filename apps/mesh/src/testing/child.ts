/** Runs the CLI as a child process, to test what cannot be tested in one process, such as whether it exits. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const MESH = fileURLToPath(new URL("../../bin/mesh.js", import.meta.url));

export interface Child {
  readonly process: ChildProcess;
  /** What it has written to stderr so far. */
  readonly err: string;
  /** Resolves when the process has exited; kills it and rejects after `PATIENCE_MS`. */
  readonly ended: Promise<CliExit>;
}

export interface CliExit {
  /** Null when it died by a signal. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
  /** Milliseconds from start to exit. */
  readonly ms: number;
}

const PATIENCE_MS = 60_000;

/** `through`: a command that runs the CLI, such as `unshare`. */
export function startCli(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  through: readonly string[] = [],
): Child {
  const [command = "", ...rest] = [...through, process.execPath, MESH, ...argv];
  const started = performance.now();
  const child = spawn(command, rest, { env: { PATH: process.env["PATH"], ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const text = { out: "", err: "" };
  child.stdout.on("data", (data: Buffer) => {
    text.out += data.toString();
  });
  child.stderr.on("data", (data: Buffer) => {
    text.err += data.toString();
  });
  const ended = async (): Promise<CliExit> => {
    const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
    const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
    clearTimeout(timer);
    const ms = performance.now() - started;
    if (signal === "SIGKILL")
      throw new Error(`mesh ${argv.join(" ")} did not end within ${PATIENCE_MS} ms: ${text.err}`);
    return { code, signal, ...text, ms };
  };
  return {
    process: child,
    get err() {
      return text.err;
    },
    ended: ended(),
  };
}

export function runCli(...args: Parameters<typeof startCli>): Promise<CliExit> {
  return startCli(...args).ended;
}
