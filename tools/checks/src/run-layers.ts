/**
 * Checks imports against the tables of docs/architecture.md. `write`: regenerates the table of packages from the project
 * references, and that of folders from the imports.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./files.js";
import { checkFolders, folderTable } from "./folders.js";
import { checkLayers } from "./layers.js";
import { readPackages } from "./read-packages.js";
import { parseTable, writeTable } from "./table.js";

/** Returns the findings. */
export function runLayers(write: boolean): readonly string[] {
  const path = join(ROOT, "docs/architecture.md");
  const packages = readPackages();
  if (write) {
    const page = readFileSync(path, "utf8");
    const references = new Map(packages.map((one) => [one.folder, one.references]));
    writeFileSync(path, writeTable(writeTable(page, "layers", references), "folders", folderTable(packages)));
  }
  const page = readFileSync(path, "utf8");
  return [...checkLayers(packages, parseTable(page, "layers")), ...checkFolders(packages, parseTable(page, "folders"))];
}
