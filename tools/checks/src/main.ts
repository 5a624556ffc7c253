/** `make layers`, `make docs`, `make words`: 0 when nothing was found, 1 with a sentence per finding, 2 for anything else. */
import { runDocs } from "./run-docs.js";
import { runLayers } from "./run-layers.js";
import { runWords } from "./run-words.js";

const [check = "", ...flags] = process.argv.slice(2);
const checks = new Map([
  ["layers", () => runLayers(flags.includes("--write"))],
  ["docs", runDocs],
  ["words", runWords],
]);

const run = checks.get(check);
if (run === undefined) {
  process.stderr.write("usage: main.js layers|docs|words [--write]\n");
  process.exitCode = 2;
} else {
  const findings = run();
  for (const finding of findings) process.stderr.write(`${finding}\n`);
  process.stdout.write(`${check}: ${findings.length} findings\n`);
  process.exitCode = findings.length === 0 ? 0 : 1;
}
