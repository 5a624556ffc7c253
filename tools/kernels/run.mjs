#!/usr/bin/env node
/**
 * Runs the datapath's program tests on other kernels than this machine's, each in a virtual machine without KVM.
 *
 *   node tools/kernels/run.mjs [--write] [--load] [--only WORD]… [suite …]        default: every suite of Debian in KERNELS
 *
 * A verifier may refuse a program that that of another kernel accepts, so every supported kernel is tested. The number of
 * instructions that each verifier processed is compared with instructions.json; more than a tenth above it is a failure, and
 * --write records the new counts. Not part of `make test`: emulation takes half an hour a kernel, and its timings are not
 * meaningful. Exit code 1 when a test fails on any kernel.
 *
 * --load only loads every object and prints the counts: less than a minute a kernel. --only runs the test files whose path
 * contains the word.
 */
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { StepFailed, Unfit } from "../setup/step.mjs";
import { boot } from "./boot.mjs";
import { fetchKernel, KERNELS, OLDER_KERNELS } from "./fetch.mjs";
import { compareCounts, parseCount } from "./instructions.mjs";
import { installEmulator } from "./packages.mjs";
import { testFiles, VERIFIER } from "./tests.mjs";

const BASELINE = new URL("instructions.json", import.meta.url);

const interrupted = new AbortController();
for (const name of ["SIGINT", "SIGTERM"]) process.on(name, () => interrupted.abort());

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  if (!(error instanceof StepFailed || error instanceof Unfit)) throw error;
  console.error(error.message);
  process.exitCode = error instanceof Unfit ? 2 : 1;
}

/** True when every test passed on every kernel. */
async function main() {
  const { suites, tests, write } = readArguments();
  await installEmulator();
  let good = true;
  for (const suite of suites) {
    good = (await testOn(await fetchKernel(suite), tests, write)) && good;
    if (interrupted.signal.aborted) return false;
  }
  return good;
}

function readArguments() {
  const { values, positionals } = parse();
  const known = [...OLDER_KERNELS, ...KERNELS];
  const unknown = positionals.find((suite) => !known.includes(suite));
  if (unknown !== undefined) throw new Unfit(`Unknown suite "${unknown}": choose from ${known.join(", ")}`);
  const tests = values.load ? [VERIFIER] : testFiles(values.only);
  return { suites: positionals.length > 0 ? positionals : KERNELS, tests, write: values.write };
}

function parse() {
  const options = {
    write: { type: "boolean", default: false },
    load: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
  };
  try {
    return parseArgs({ options, allowPositionals: true });
  } catch (error) {
    throw new Unfit(error.message);
  }
}

/** True when every test passed in the guest and no count is much above the baseline. */
async function testOn(kernel, tests, write) {
  console.log(`\n${kernel.suite}: kernel ${kernel.version}`);
  let passed = false;
  const counts = {};
  let beganMs = Date.now();
  const onLine = (line) => {
    const count = parseCount(line);
    if (line === "kernels: passed") passed = true;
    else if (count !== undefined) counts[count.program] = count.walked;
    else if (line.startsWith("kernels: ")) {
      console.log(`${line.slice("kernels: ".length)}, ${Math.round((Date.now() - beganMs) / 1000)} s`);
      beganMs = Date.now();
    } else if (!/^\[ *\d+\.\d+\] /.test(line)) console.log(line); // messages of the kernel at power-off
  };
  await boot(kernel, tests, { onLine, signal: interrupted.signal });
  const good = passed && (!tests.includes(VERIFIER) || useCounts(kernel.suite, counts, write));
  console.log(`${kernel.suite}: ${good ? "passed" : "failed"}`);
  return good;
}

/** Prints the counts and compares them with the baseline, or records them; false when one is much above it. */
function useCounts(suite, counts, write) {
  console.log(`instructions walked by the verifier: ${JSON.stringify(counts)}`);
  const baseline = JSON.parse(readFileSync(BASELINE, "utf8"));
  if (write) {
    writeFileSync(BASELINE, `${JSON.stringify({ ...baseline, [suite]: counts }, null, 2)}\n`);
    return true;
  }
  const findings = compareCounts(counts, baseline[suite] ?? {});
  for (const finding of findings) console.log(`${suite}: ${finding}`);
  return findings.length === 0;
}
