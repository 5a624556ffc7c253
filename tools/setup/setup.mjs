#!/usr/bin/env node
/**
 * Prepares a fresh Debian 12/13 or Ubuntu 24.04 machine for `make demo`; skips steps that are done.
 *
 *   preflight ──► Debian packages ──► npm ci ──► TypeScript ──► BPF objects ──► addon ──► C programs ──► Kubernetes
 *
 * Plain JavaScript without dependencies: it runs before anything is installed. Exit codes: 0 done, 1 a step failed, 2 unfit machine.
 */
import process from "node:process";
import { buildAddon, buildBpf, buildCProgram, buildTypeScript, getKubernetes, installModules } from "./build.mjs";
import { installPackages } from "./packages.mjs";
import { preflight } from "./preflight.mjs";
import { StepFailed, Unfit } from "./step.mjs";

const STEPS = [installPackages, installModules, buildTypeScript, buildBpf, buildAddon, buildCProgram, getKubernetes];

try {
  preflight();
  for (const step of STEPS) await step();
} catch (error) {
  if (error instanceof Unfit) {
    console.error(error.message);
    process.exit(2);
  }
  if (!(error instanceof StepFailed)) throw error;
  console.error(error.message);
  process.exit(1);
}
