/** Checks imports against the table of docs/architecture.md. `write`: regenerates the table from the project references. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./files.js";
import { checkLayers } from "./layers.js";
import { readPackages } from "./read-packages.js";
import { parseTable, writeTable } from "./table.js";

/** Returns the findings. */
export function runLayers(write: boolean): readonly string[] {
  const path = join(ROOT, "docs/architecture.md");
  const packages = readPackages();
  const page = readFileSync(path, "utf8");
  if (write) writeFileSync(path, writeTable(page, new Map(packages.map((one) => [one.folder, one.references]))));
  return checkLayers(packages, parseTable(readFileSync(path, "utf8")));
}
