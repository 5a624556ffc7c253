/** Lists the files of the repository, without those that are built, fetched or ignored. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

const SKIPPED = new Set([".git", "node_modules", "dist", "build", "out", ".cache"]);

/** Paths relative to the root, with "/" between, sorted. */
export function repositoryFiles(root: string = ROOT): readonly string[] {
  const found: string[] = [];
  const walk = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!SKIPPED.has(entry.name)) walk(path);
      } else if (entry.isFile()) {
        found.push(path);
      }
    }
  };
  walk("");
  return found.sort();
}
