/** `make layers`: 0 when every import is allowed, 1 with a sentence per finding. `--write` writes the table anew. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./files.js";
import { checkLayers } from "./layers.js";
import { readPackages } from "./read-packages.js";
import { parseTable, writeTable } from "./table.js";

const path = join(ROOT, "docs/architecture.md");
const packages = readPackages();
const page = readFileSync(path, "utf8");
if (process.argv.includes("--write")) {
  writeFileSync(path, writeTable(page, new Map(packages.map((one) => [one.folder, one.references]))));
} else {
  const findings = checkLayers(packages, parseTable(page));
  for (const finding of findings) process.stderr.write(`${finding}\n`);
  process.stdout.write(`${packages.length} packages, ${findings.length} findings\n`);
  process.exitCode = findings.length === 0 ? 0 : 1;
}
