/**
 * Commands that are programs of their own, found as kubectl finds its plugins: `mesh lab` runs `mesh-lab`.
 *
 * In: the program's name and its arguments. Out: its exit code. It gets the terminal, and Ctrl-C with it.
 */
import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { constants as system } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Io } from "../output/io.js";
import { usageError } from "./exit.js";

/**
 * Looks in `path` (as PATH), then in the node_modules/.bin of this installation. Throws `USAGE` when the program is not there.
 */
export function findPlugin(name: string, path = ""): string {
  const installed = ancestors(dirname(fileURLToPath(import.meta.url))).map((folder) =>
    join(folder, "node_modules/.bin"),
  );
  const folders = [...path.split(delimiter).filter((folder) => folder !== ""), ...installed];
  const program = folders.map((folder) => join(folder, name)).find(isExecutable);
  if (program === undefined)
    throw usageError(
      `Cannot run "${name.replace("-", " ")}": there is no program "${name}" in PATH; it comes with the sources`,
    );
  return program;
}

/** Resolves with the program's exit code, or 128 and the number of the signal that ended it. */
export function runPlugin(program: string, args: readonly string[], io: Io): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: "inherit", env: { ...io.env } });
    // Ctrl-C in a terminal reaches the program as well; a signal to this process alone does not.
    const end = () => isTermination(io.signal.reason) && child.kill("SIGTERM");
    io.signal.addEventListener("abort", end, { once: true });
    child.once("error", reject);
    child.once("close", (code, signal) => {
      io.signal.removeEventListener("abort", end);
      resolve(signal === null ? (code ?? 1) : 128 + system.signals[signal]);
    });
  });
}

function isTermination(reason: unknown): boolean {
  const { data } = (reason ?? {}) as { readonly data?: { readonly exit?: unknown } };
  return data?.exit === 128 + system.signals.SIGTERM;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function ancestors(folder: string): readonly string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...ancestors(parent)];
}
