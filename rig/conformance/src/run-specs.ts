/** Runs specs one after another, until one cannot be run or the run is aborted. */
import { MeshError } from "@isthmus/model";
import { shortName } from "./suite/spec-names.js";
import type { SpecRun } from "./suite/spec-run.js";
import type { Suite } from "./suite/e2e-suite.js";

export interface RunModules {
  readonly say: (sentence: string) => void;
  readonly signal: AbortSignal;
}

export interface Ran {
  readonly runs: readonly SpecRun[];
  /** Why it ended early; empty when all specs ran. */
  readonly problem: string;
}

export async function runSpecs(
  suite: Pick<Suite, "run" | "cleanUp">,
  specs: readonly string[],
  modules: RunModules,
): Promise<Ran> {
  const { say, signal } = modules;
  const runs: SpecRun[] = [];
  // Of an earlier run in this lab that was killed.
  await suite.cleanUp();
  for (const [index, name] of specs.entries()) {
    try {
      signal.throwIfAborted();
      const run = await suite.run(name, signal);
      runs.push(run);
      say(`${index + 1} of ${specs.length}  ${run.passed ? "passed" : "FAILED"} ${run.seconds} s  ${shortName(name)}`);
      if (!run.passed) say(`  ${run.reason}`);
    } catch (error) {
      const { message } = MeshError.from(error);
      const why = signal.aborted ? message : `Cannot run "${shortName(name)}": ${message}`;
      return { runs, problem: `${why}${await cleanUpFailure(suite)}` };
    }
  }
  return { runs, problem: "" };
}

async function cleanUpFailure(suite: Pick<Suite, "cleanUp">): Promise<string> {
  return await suite.cleanUp().then(
    () => "",
    (error: unknown) => `; cannot remove what it left: ${MeshError.from(error).message}`,
  );
}
