/** Where the tests' Kubernetes binaries are: `MESH_KUBE_BIN`, else our cache. Missing is a failure, never a skip. */
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Throws a sentence with the ways out. */
export function kubeBinary(name: string, environment: NodeJS.ProcessEnv = process.env): string {
  const given = environment["MESH_KUBE_BIN"];
  const cache = join(environment["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "isthmus");
  const found = given === undefined ? search(cache, name, 4) : search(given, name, 1);
  if (found !== undefined) return found;
  throw new Error(
    `Cannot find "${name}" in MESH_KUBE_BIN (${given ?? "not set"}) or in "${cache}": "make test" puts it there`,
  );
}

function search(folder: string, name: string, depth: number): string | undefined {
  if (!existsSync(folder)) return undefined;
  const entries = readdirSync(folder, { withFileTypes: true });
  if (entries.some((entry) => entry.name === name && !entry.isDirectory())) return join(folder, name);
  if (depth === 1) return undefined;
  for (const entry of entries) {
    const found = entry.isDirectory() ? search(join(folder, entry.name), name, depth - 1) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}
