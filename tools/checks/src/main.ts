/** `make layers`, `make docs`, `make words`: 0 when nothing was found, 1 with a sentence per finding, 2 for anything else. */
import { runDocs } from "./run-docs.js";
import { runDocstrings } from "./run-docstrings.js";
import { runLayers } from "./run-layers.js";
import { runWords } from "./run-words.js";

const [check = "", ...rest] = process.argv.slice(2);
const write = rest.includes("--write");
const checks = new Map([
  ["layers", () => runLayers(write)],
  ["docs", () => [...runDocs(), ...runDocstrings()]],
  ["docstrings", () => runDocstrings({ write, print: rest.filter((word) => !word.startsWith("-")) })],
  ["words", runWords],
]);

const run = checks.get(check);
if (run === undefined) {
  process.stderr.write("usage: main.js layers|docs|docstrings|words [--write] [PACKAGE…]\n");
  process.exitCode = 2;
} else {
  const findings = run();
  for (const finding of findings) process.stderr.write(`${finding}\n`);
  process.stdout.write(`${check}: ${findings.length} findings\n`);
  process.exitCode = findings.length === 0 ? 0 : 1;
}
