/** `make generate` (`--write`) and `make docs`: the pages of docs/reference. Exit codes as of tools/checks. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, withProduct } from "@isthmus/checks";
import { withGenerated } from "./page.js";
import { makeReference } from "./reference.js";

const flags = process.argv.slice(2);
if (flags.some((flag) => flag !== "--write")) {
  process.stderr.write("usage: main.js [--write]\n");
  process.exitCode = 2;
} else {
  const { pages, findings } = withProduct((sources) => makeReference(ROOT, sources));
  const stale: string[] = [];
  for (const [path, generated] of pages) {
    const page = readFileSync(join(ROOT, path), "utf8");
    const right = withGenerated(page, generated);
    if (right === page) continue;
    if (flags.includes("--write")) writeFileSync(join(ROOT, path), right);
    else stale.push(`${path}: is not what the code has; run: make generate`);
  }
  for (const finding of [...findings, ...stale]) process.stderr.write(`${finding}\n`);
  process.stdout.write(`reference: ${findings.length + stale.length} findings\n`);
  process.exitCode = findings.length + stale.length === 0 ? 0 : 1;
}
