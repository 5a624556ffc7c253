/** Finds the Kubernetes binaries of the tests: in `MESH_KUBE_BIN`, else in the cache. A missing one fails the test. */
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Returns the path of a binary. Throws an error that says where it was searched and how to get it. */
export function kubeBinary(name: string, environment: NodeJS.ProcessEnv = process.env): string {
  const given = environment["MESH_KUBE_BIN"];
  const cache = join(environment["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "isthmus");
  const path = given === undefined ? search(cache, name, 4) : search(given, name, 1);
  if (path !== undefined) return path;
  throw new Error(
    `Cannot find "${name}" in MESH_KUBE_BIN (${given ?? "not set"}) or in "${cache}": run "make setup" to download it`,
  );
}

function search(folder: string, name: string, depth: number): string | undefined {
  if (!existsSync(folder)) return undefined;
  const entries = readdirSync(folder, { withFileTypes: true });
  if (entries.some((entry) => entry.name === name && !entry.isDirectory())) return join(folder, name);
  if (depth === 1) return undefined;
  for (const entry of entries) {
    const path = entry.isDirectory() ? search(join(folder, entry.name), name, depth - 1) : undefined;
    if (path !== undefined) return path;
  }
  return undefined;
}
