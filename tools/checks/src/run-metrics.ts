/** Checks the metrics of the programs against docs/reference/metrics.md. `write`: regenerates its tables. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, repositoryFiles } from "./files.js";
import { findMetrics, withMetrics } from "./metrics.js";

const PAGE = "docs/reference/metrics.md";

/** Returns the findings. */
export function runMetrics(write: boolean): readonly string[] {
  const paths = repositoryFiles().filter((path) => /^(apps|libs)\/[^/]+\/src\/.*(?<!\.test)\.ts$/.test(path));
  const found = findMetrics(new Map(paths.map((path) => [path, readFileSync(join(ROOT, path), "utf8")])));
  const page = readFileSync(join(ROOT, PAGE), "utf8");
  const right = withMetrics(page, found);
  if (right === undefined) return [...found.findings, `${PAGE}: the marks between which the tables stand are missing`];
  if (write) writeFileSync(join(ROOT, PAGE), right);
  if (write || right === page) return found.findings;
  return [
    ...found.findings,
    `${PAGE}: is not what the sources register; run: node tools/checks/dist/main.js docs --write`,
  ];
}
