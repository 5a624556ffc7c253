/**
 * A lab that is taken down when the process that uses it ends, even by SIGKILL: a keeper process (keeper-main.ts) in its own session
 * reads a pipe from this process, and takes the lab down at the end of the pipe.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { MeshError } from "@isthmus/model";
import { labError } from "../plan/errors.js";
import { PACKAGE_ROOT } from "../plan/paths.js";
import type { DatapathMode } from "../plan/plan.js";

export interface LabShape {
  readonly name: string;
  readonly clusters: readonly string[];
  /** Nodes of each cluster. */
  readonly nodes: number;
  readonly bare: boolean;
  readonly datapathMode?: DatapathMode;
}

export interface KeepOptions {
  /** Called with a sentence for each step of `up`. */
  readonly onProgress?: (sentence: string) => void;
  /** An abort while the lab comes up takes down what was started. */
  readonly signal?: AbortSignal;
}

export interface KeptLab {
  /** Takes the lab down. Rejects when something of it is left, which the keeper has printed. May be called twice. */
  release(): Promise<void>;
  /** Ends the keeper and leaves the lab up. */
  leave(): Promise<void>;
}

/** What the keeper reports, as lines of JSON: sentences, then that the lab is up or why not. */
export type KeeperLine =
  | { readonly said: string }
  | { readonly up: true }
  | { readonly error: { readonly code: string; readonly sentence: string } };

/** What the keeper reads when it is to leave the lab up. */
export const LEAVE = "leave\n";

/** Resolves when the lab is ready. Rejects with the error of `up`. */
export async function keepLab(shape: LabShape, { onProgress, signal }: KeepOptions = {}): Promise<KeptLab> {
  const { name, clusters, nodes, bare, datapathMode = "packets" } = shape;
  signal?.throwIfAborted();
  const argv = [join(PACKAGE_ROOT, "dist/life/keeper-main.js"), name, clusters.join(","), String(nodes)];
  const child = spawn(process.execPath, [...argv, datapathMode, ...(bare ? ["bare"] : [])], {
    detached: true,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = exitOf(child);
  const letGo = () => void child.stdin.end();
  signal?.addEventListener("abort", letGo);
  try {
    await untilUp(child, name, onProgress);
  } catch (error) {
    await ended;
    throw error;
  } finally {
    signal?.removeEventListener("abort", letGo);
  }
  // The keeper must not keep a crashed process alive; the pipe is closed when that process exits.
  for (const handle of [child, ...sockets(child)]) handle.unref();
  const end = async (last: string) => {
    child.ref();
    child.stdin.end(last);
    return await ended;
  };
  return {
    async release() {
      const code = await end("");
      if (code !== 0) throw labError("LEFT_OVER", `Lab "${name}" did not go away cleanly (exit ${code})`);
    },
    leave: async () => void (await end(LEAVE)),
  };
}

async function untilUp({ stdout }: ChildProcess, name: string, onProgress?: (sentence: string) => void): Promise<void> {
  const lines = createInterface({ input: stdout as NodeJS.ReadableStream });
  for await (const text of lines) {
    const line: KeeperLine = JSON.parse(text);
    if ("up" in line) return;
    if ("error" in line) throw new MeshError({ code: line.error.code }, line.error.sentence);
    onProgress?.(line.said);
  }
  throw labError("STEP_FAILED", `Lab "${name}" did not come up: its keeper has ended`);
}

/** The pipes of a child as sockets, which have `unref`. */
function sockets({ stdin, stdout }: ChildProcess): Socket[] {
  return [stdin, stdout].filter((stream) => stream instanceof Socket);
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
}
