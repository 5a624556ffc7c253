/**
 * A lab that is taken down when the process that uses it ends, even by SIGKILL: a keeper process (keeper-main.ts) in its own session
 * reads a pipe from this process, and takes the lab down at the end of the pipe.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { Socket } from "node:net";
import { join } from "node:path";
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

export interface KeptLab {
  /** Takes the lab down. Rejects when something of it is left, which the keeper has printed. May be called twice. */
  release(): Promise<void>;
}

/** Resolves when the lab is ready; its progress and errors go to this process's stderr. */
export async function keepLab(shape: LabShape): Promise<KeptLab> {
  const { name, clusters, nodes, bare, datapathMode = "packets" } = shape;
  const argv = [join(PACKAGE_ROOT, "dist/testing/keeper-main.js"), name, clusters.join(","), String(nodes)];
  const child = spawn(process.execPath, [...argv, datapathMode, ...(bare ? ["bare"] : [])], {
    detached: true,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = exitOf(child);
  const answer = await Promise.race([once(child.stdout, "data").then(String), ended]);
  if (answer !== "up\n") throw labError("STEP_FAILED", `Cannot test: lab "${name}" did not come up`);
  // The keeper must not keep a crashed test process alive; the pipe is closed when that process exits.
  for (const handle of [child, ...sockets(child)]) handle.unref();
  return {
    async release() {
      child.ref();
      child.stdin.end();
      const code = await ended;
      if (code !== 0) throw labError("LEFT_OVER", `Lab "${name}" did not go away cleanly (exit ${code})`);
    },
  };
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
