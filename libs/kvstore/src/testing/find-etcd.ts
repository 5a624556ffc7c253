/** Finds the etcd of the tests: in `MESH_KUBE_BIN`, else in the cache. A missing one fails the test. */
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { MeshError } from "@isthmus/model";

export function findEtcd(environment: NodeJS.ProcessEnv = process.env): string {
  const given = environment["MESH_KUBE_BIN"];
  const cache = join(environment["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "isthmus");
  const path = given === undefined ? search(cache, 4) : search(given, 1);
  if (path !== undefined) return path;
  throw new MeshError(
    { code: "ETCD_MISSING", given, cache },
    `Cannot run tests against etcd: no "etcd" in MESH_KUBE_BIN (${given ?? "not set"}) or in "${cache}"; run "make setup" to download it`,
  );
}

function search(folder: string, depth: number): string | undefined {
  if (!existsSync(folder)) return undefined;
  const entries = readdirSync(folder, { withFileTypes: true });
  if (entries.some((entry) => entry.name === "etcd" && !entry.isDirectory())) return join(folder, "etcd");
  if (depth === 1) return undefined;
  for (const entry of entries) {
    const path = entry.isDirectory() ? search(join(folder, entry.name), depth - 1) : undefined;
    if (path !== undefined) return path;
  }
  return undefined;
}
