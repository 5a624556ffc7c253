/** Reads code, schemas, manifests and pages of the repository for `checkWords`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, repositoryFiles } from "./files.js";
import { checkWords } from "./words.js";

const READ = /\.(ts|mjs|md|h|c|proto|sh|yaml)$/;

/** Returns the findings. */
export function runWords(): readonly string[] {
  const read = repositoryFiles().filter((path) => READ.test(path));
  return checkWords(new Map(read.map((path) => [path, readFileSync(join(ROOT, path), "utf8")])));
}
