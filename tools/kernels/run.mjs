#!/usr/bin/env node
/**
 * Runs the datapath's program tests on other kernels than this machine's, each in a virtual machine without KVM.
 *
 *   node tools/kernels/run.mjs [suite …]        default: every suite of Debian in KERNELS
 *
 * A verifier that takes a program on one kernel may refuse it on another, so what is not run is not known. Not part of
 * `make test`: emulation takes minutes, and its timings mean nothing. Exit code 1 when a test fails on any kernel.
 */
import process from "node:process";
import { StepFailed, Unfit } from "../setup/step.mjs";
import { boot } from "./boot.mjs";
import { fetchKernel, KERNELS } from "./fetch.mjs";
import { installEmulator } from "./packages.mjs";

const asked = process.argv.slice(2);
const unknown = asked.find((suite) => !KERNELS.includes(suite));
if (unknown !== undefined) {
  console.error(`Unknown suite "${unknown}": choose from ${KERNELS.join(", ")}`);
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

/** True when the guest said that every test passed. */
async function testOn(kernel) {
  console.log(`\n${kernel.suite}: kernel ${kernel.version}`);
  let passed = false;
  await boot(kernel, (line) => {
    if (line === "kernels: passed") passed = true;
    else if (!/^\[ *\d+\.\d+\] /.test(line)) console.log(line); // what the kernel says when it powers off
  });
  console.log(`${kernel.suite}: ${passed ? "passed" : "failed"}`);
  return passed;
}
