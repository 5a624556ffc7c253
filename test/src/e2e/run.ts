/** Runs a program to its end and returns its exit code and output. Never rejects because of an exit code. */
import { spawn } from "node:child_process";
import { once } from "node:events";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export async function run(command: string, argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const child = spawn(command, argv, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const text = { out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text.out += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    text.err += chunk;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code: code ?? -1, ...text };
}
