#!/usr/bin/env node
/**
 * Runs the built tests of one or more groups and ends with the totals.
 *
 *   node tools/test/run.mjs [unit] [faults] [base] [e2e] [explore] [--node24]        no group = base e2e
 *
 * unit: every other `*.test.js` in a package's dist, three files at once. faults: `*.faults.test.js`, with real servers that the
 * tests break, three at once, since they mostly wait. base: both, four at once, the long ones first. e2e: `*.e2e.test.js`, one
 * after another, since they share a lab (shared-lab.mjs). explore: units with random histories, MESH_EXPLORE times as many steps
 * (default 20). Exit code 1 for a failed test; with CI set, also for a skipped one. --node24: the units on Node 24 too, in parallel
 * with e2e, which waits half of its time; their output is printed at the end.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { unitsOnNode24 } from "./on-node24.mjs";
import { withSharedLab } from "./shared-lab.mjs";

const ROOT = new URL("../..", import.meta.url).pathname;
const PLACES = ["libs", "apps", "rig", "tools"];
const isFault = (file) => file.endsWith(".faults.test.js");
const isE2e = (file) => file.endsWith(".e2e.test.js");
const GROUPS = {
  unit: {
    pick: (file) => !isFault(file) && !isE2e(file),
    concurrency: 3,
    timeoutMs: 5 * 60_000,
    around: (work) => work(),
  },
  faults: {
    pick: isFault,
    concurrency: 3,
    timeoutMs: 10 * 60_000,
    around: (work) => work(),
  },
  base: {
    pick: (file) => !isE2e(file),
    concurrency: 4,
    timeoutMs: 10 * 60_000,
    around: (work) => work(),
  },
  e2e: { pick: isE2e, concurrency: 1, timeoutMs: 20 * 60_000, around: withSharedLab },
  explore: {
    pick: (file) => readFileSync(file, "utf8").includes("fastCheckOptions("),
    concurrency: 2,
    timeoutMs: 60 * 60_000,
    around(work) {
      process.env.MESH_EXPLORE ??= "20";
      return work();
    },
  },
};
const ALL = ["base", "e2e"];
/**
 * On Node 20 the optimizing compiler takes a fifth of the processor time of processes as short as those of tests: only functions
 * that run 15 times as long as by default are optimized. `run` passes these flags on. Later versions, which have another compiler
 * before that one, do not know the flag and gain nothing by others.
 */
if (process.version.startsWith("v20.")) process.execArgv.push("--interrupt-budget=1000000");

const FLAG = "--node24";
const asked = process.argv.slice(2).filter((name) => name !== FLAG);
const alsoNode24 = process.argv.includes(FLAG);
const unknown = asked.filter((name) => !(name in GROUPS));
if (unknown.length > 0) {
  console.error(`Unknown group "${unknown[0]}": choose from ${Object.keys(GROUPS).join(", ")}`);
  process.exit(2);
}

if (alsoNode24 && asked.length > 0 && !asked.includes("e2e")) {
  console.error(`${FLAG} runs beside the group e2e: add it, or run make node24`);
  process.exit(2);
}

const totals = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
for (const name of asked.length > 0 ? asked : ALL) {
  const beside = alsoNode24 && name === "e2e" ? unitsOnNode24() : undefined;
  await runGroup(name);
  if (beside !== undefined) add(await beside);
}
report();

function add({ output, totals: more, failures: found }) {
  process.stdout.write(output);
  for (const name of Object.keys(totals)) totals[name] += more[name];
  failures.push(...found);
}

async function runGroup(name) {
  const { pick, around } = GROUPS[name];
  const files = testFiles().filter(pick);
  console.log(`\n${name}: ${files.length} files, Node ${process.version}`);
  if (files.length === 0) {
    failures.push(`${name}: no test file was found; is it built?`);
    return;
  }
  try {
    await around((signal) => runFiles(files, GROUPS[name], signal));
  } catch (error) {
    failures.push(`${name}: ${error.message}`);
  }
}

async function runFiles(files, { concurrency, timeoutMs }, signal) {
  const stream = run({ files, concurrency, timeout: timeoutMs, signal });
  stream.on("test:pass", (event) => {
    if (event.details.type === "suite") return;
    if (event.skip !== undefined || event.todo !== undefined) totals.skipped++;
    else totals.passed++;
  });
  stream.on("test:fail", (event) => {
    if (event.details.type === "suite") return;
    totals.failed++;
    failures.push(`${event.file ?? ""}: ${event.name}`);
  });
  for await (const chunk of stream.compose(new spec())) process.stdout.write(chunk);
}

function testFiles() {
  const packages = [...PLACES.flatMap((place) => folders(join(ROOT, place))), join(ROOT, "test")];
  const files = packages.flatMap((folder) => walk(join(folder, "dist"))).sort();
  return [...files.filter(isFault), ...files.filter((file) => !isFault(file))];
}

function folders(place) {
  return readdirSync(place)
    .map((name) => join(place, name))
    .filter((path) => statSync(path).isDirectory());
}

function walk(folder) {
  let entries;
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return walk(path);
    return entry.name.endsWith(".test.js") && hasSource(path) ? [path] : [];
  });
}

/** False for the old output of a test that was renamed. */
function hasSource(path) {
  return existsSync(join(ROOT, path.slice(ROOT.length).replace("/dist/", "/src/").replace(/\.js$/, ".ts")));
}

function report() {
  for (const failure of failures) console.log(`failed: ${failure.replace(ROOT, "")}`);
  const forbidden = process.env.CI !== undefined && totals.skipped > 0;
  if (forbidden) console.log(`failed: ${totals.skipped} skipped; CI allows none`);
  console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
  const code = failures.length > 0 || forbidden ? 1 : 0;
  if (process.send === undefined) process.exit(code);
  process.send({ totals, failures }, () => process.exit(code));
}
