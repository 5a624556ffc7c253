#!/usr/bin/env node
/**
 * Runs the datapath's program tests on other kernels than this machine's, each in a virtual machine without KVM.
 *
 *   node tools/kernels/run.mjs [--write] [suite …]        default: every suite of Debian in KERNELS
 *
 * A verifier may refuse a program that that of another kernel accepts, so every supported kernel is tested. The number of
 * instructions that each verifier processed is compared with instructions.json; more than a tenth above it is a failure, and
 * --write records the new counts. Not part of `make test`: emulation takes minutes, and its timings are not meaningful. Exit
 * code 1 when a test fails on any kernel.
 */
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { StepFailed, Unfit } from "../setup/step.mjs";
import { boot } from "./boot.mjs";
import { fetchKernel, KERNELS, OLDER_KERNELS } from "./fetch.mjs";
import { compareCounts, parseCount } from "./instructions.mjs";
import { installEmulator } from "./packages.mjs";

const BASELINE = new URL("instructions.json", import.meta.url);

const asked = process.argv.slice(2).filter((word) => word !== "--write");
const write = process.argv.includes("--write");
const suites = [...OLDER_KERNELS, ...KERNELS];
const unknown = asked.find((suite) => !suites.includes(suite));
if (unknown !== undefined) {
  console.error(`Unknown suite "${unknown}": choose from ${suites.join(", ")}`);
  process.exit(2);
}

try {
  await installEmulator();
  let failed = false;
  for (const suite of asked.length > 0 ? asked : KERNELS) failed = !(await testOn(await fetchKernel(suite))) || failed;
  process.exit(failed ? 1 : 0);
} catch (error) {
  if (!(error instanceof StepFailed || error instanceof Unfit)) throw error;
  console.error(error.message);
  process.exit(error instanceof Unfit ? 2 : 1);
}

/** True when every test passed in the guest and no count is much above the baseline. */
async function testOn(kernel) {
  console.log(`\n${kernel.suite}: kernel ${kernel.version}`);
  let passed = false;
  const counts = {};
  await boot(kernel, (line) => {
    const count = parseCount(line);
    if (line === "kernels: passed") passed = true;
    else if (count !== undefined) counts[count.program] = count.walked;
    else if (!/^\[ *\d+\.\d+\] /.test(line)) console.log(line); // messages of the kernel at power-off
  });
  const baseline = JSON.parse(readFileSync(BASELINE, "utf8"));
  const findings = compareCounts(counts, baseline[kernel.suite] ?? {});
  console.log(`instructions walked by the verifier: ${JSON.stringify(counts)}`);
  if (write && passed) {
    const next = { ...baseline, [kernel.suite]: counts };
    writeFileSync(BASELINE, `${JSON.stringify(next, null, 2)}\n`);
  } else for (const finding of findings) console.log(`${kernel.suite}: ${finding}`);
  const good = passed && (write || findings.length === 0);
  console.log(`${kernel.suite}: ${good ? "passed" : "failed"}`);
  return good;
}
