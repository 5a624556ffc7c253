/** Reads all Markdown pages of the repository for `checkDocs`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkDocs } from "./docs.js";
import { ROOT, repositoryFiles } from "./files.js";

/** Returns the findings. */
export function runDocs(): readonly string[] {
  const files = repositoryFiles();
  const markdown = files.filter((path) => path.endsWith(".md"));
  return checkDocs(files, new Map(markdown.map((path) => [path, readFileSync(join(ROOT, path), "utf8")])));
}
