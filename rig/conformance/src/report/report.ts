/** Judges the runs of a focus by what is known to fail. Pure. */
import type { SpecRun } from "../suite/spec-run.js";
import type { KnownFailures } from "./known-failures.js";

export interface Results {
  readonly focus: string;
  /** Kubernetes' version, "v1.34.4". */
  readonly version: string;
  /** Specs that were to run, by full name. */
  readonly specs: readonly string[];
  /** In their order; fewer when the run ended early. */
  readonly runs: readonly SpecRun[];
  /** Why it ended early; empty when it did not. */
  readonly problem: string;
  /** The names that `known` may have: all specs of the suite. */
  readonly suite: readonly string[];
}

export interface SpecResult extends SpecRun {
  /** Of a failure, the reason that is written by hand. */
  readonly known?: string;
}

export interface Report {
  readonly focus: string;
  readonly version: string;
  readonly results: readonly SpecResult[];
  /** Specs that did not run. */
  readonly missing: readonly string[];
  /** What is wrong beside specs that failed: the run ended early, known-failures.json is out of date. */
  readonly findings: readonly string[];
  /** All specs ran, those that failed are known to, and there are no findings. */
  readonly passed: boolean;
}

export function makeReport(all: Results, known: KnownFailures): Report {
  const { focus, version, specs, runs, problem, suite } = all;
  const ran = new Set(runs.map(({ name }) => name));
  const missing = specs.filter((name) => !ran.has(name));
  const results = runs.map((run) => withReason(run, known.get(run.name)));
  const stale = runs.filter(({ name, passed }) => passed && known.has(name));
  const unknown = [...known.keys()].filter((name) => !suite.includes(name));
  const findings = [
    ...(problem === "" ? [] : [problem]),
    ...stale.map(({ name }) => `known-failures.json says that this spec fails: ${name}`),
    ...unknown.map((name) => `known-failures.json names no spec: ${name}`),
  ];
  const areExpected = results.every((result) => result.passed || result.known !== undefined);
  return { focus, version, results, missing, findings, passed: areExpected && missing.length + findings.length === 0 };
}

function withReason(run: SpecRun, reason: string | undefined): SpecResult {
  return run.passed || reason === undefined ? run : { ...run, known: reason };
}
