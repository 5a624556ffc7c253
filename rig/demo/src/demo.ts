/**
 * Runs the demo: brings a rig up, connects the mesh, starts the load, injects the faults one after another.
 *
 * Out: the report, also when the demo ended early; then `problem` has the reason and the demo has not passed.
 */
import { type Driven, driveFaults } from "./faults/faults.js";
import { makeReport, type Report } from "./judge/report.js";
import { type LoadModules, type UnderLoad, underLoad } from "./load.js";
import type { DemoOptions } from "./options.js";
import { alone } from "./rigs/alone.js";
import { inLab } from "./rigs/in-lab.js";
import { kindRig } from "./rigs/kind-rig.js";
import type { Rig } from "./rigs/rig.js";
import { GRACEFUL_LINGER_MS } from "./setup/setup.js";

export interface DemoModules extends LoadModules {
  /** Awaited after everything runs and before the first fault. */
  readonly beforeFaults?: () => Promise<void>;
}

export function runDemo(options: DemoOptions, modules: DemoModules): Promise<Report> {
  const work = (rig: Rig) => demoOn(rig, options, modules);
  return options.kind ? alone(kindRig(process.env), options, modules, work) : inLab(options, modules, work);
}

/** Runs the demo on a rig that is up: two clusters, east and west, of two nodes. Does not delete what it creates there. */
export async function demoOn(
  rig: Rig,
  { faults, rate }: Pick<DemoOptions, "faults" | "rate">,
  modules: DemoModules,
): Promise<Report> {
  const shape = { rate, lingerMs: GRACEFUL_LINGER_MS };
  const { done, ...recorded } = await underLoad(rig, shape, modules, async (world) => {
    await modules.beforeFaults?.();
    return await driveFaults(world, faults);
  });
  return reportOf(done, { ...recorded, signal: modules.signal });
}

interface Recorded extends Omit<UnderLoad<unknown>, "done"> {
  readonly signal: AbortSignal;
}

function reportOf(driven: Driven, { log, denied, moves, signal }: Recorded): Report {
  const start = log.started();
  return makeReport({
    runs: driven.runs,
    problem: signal.aborted ? "interrupted" : driven.problem,
    traffic: { rate: start?.rate ?? 0, samples: log.samples(), stalls: log.stalls() },
    denied: denied.map((each) => each.samples()),
    moves,
    begun: start?.mono ?? 0,
    startedAt: new Date(start?.wall ?? 0).toISOString(),
  });
}
