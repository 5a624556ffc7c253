/** `make docs-check`: 0 when no document points into nothing, 1 with a sentence per finding. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkDocs } from "./docs.js";
import { ROOT, repositoryFiles } from "./files.js";

const files = repositoryFiles();
const pages = new Map(
  files.filter((path) => path.endsWith(".md")).map((path) => [path, readFileSync(join(ROOT, path), "utf8")]),
);
const findings = checkDocs(files, pages);
for (const finding of findings) process.stderr.write(`${finding}\n`);
process.stdout.write(`${pages.size} pages, ${findings.length} findings\n`);
process.exitCode = findings.length === 0 ? 0 : 1;
