/** Runs the CLI as a user would, with the environment of the rig. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Rig } from "../rigs/rig.js";

const MESH = fileURLToPath(new URL("../../../../apps/mesh/bin/mesh.js", import.meta.url));

/** Rejects with the last output when the exit code is not 0. */
export async function runMeshCommand(
  rig: Pick<Rig, "kubeconfig" | "storeFile" | "env">,
  args: readonly string[],
  say: (sentence: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const child = spawn(process.execPath, [MESH, ...args], {
    env: { ...process.env, ...rig.env, KUBECONFIG: rig.kubeconfig, MESH_STORE: rig.storeFile },
    stdio: ["ignore", "pipe", "pipe"],
    signal,
  });
  const words: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      words.push(line);
      say(`  ${line}`);
    });
  }
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (status !== 0)
    throw new Error(`Cannot go on: "mesh ${args.join(" ")}" ended with ${status}: ${words.at(-1) ?? ""}`);
}
