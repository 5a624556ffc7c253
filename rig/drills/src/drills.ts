/**
 * Runs the drills: rounds in one lab, each with a client of its own, in which every fault is driven once.
 *
 * Out: a report of every run, also when the drills ended early; then `problems` has the reasons.
 */
import { loadavg } from "node:os";
import {
  inLab,
  type LoadModules,
  type Rig,
  type RigWorld,
  restoring,
  round as rounded,
  type SampleLog,
  type Traffic,
  underLoad,
  untilComplete,
} from "@isthmus/demo";
import { type ClientReport, drillClients } from "./clients/drill-clients.js";
import type { Drill } from "./faults/drill.js";
import { DRILLS } from "./faults/drills.js";
import { costsOf, longestStall, starvedBy } from "./figures.js";
import { recover } from "./health.js";
import type { DrillOptions } from "./options.js";
import { type DrillReport, makeReport, type RunReport } from "./report.js";

const RATE = 100;
/** Rounds that end early one after another end the drills: the lab is broken then. */
const MOST_BROKEN = 3;

export interface DrillModules extends LoadModules {
  /** Called with each run. */
  readonly onRun: (run: RunReport) => void;
}

export function runDrills(options: DrillOptions, modules: DrillModules): Promise<DrillReport> {
  return inLab(options, modules, (rig) => drillOn(rig, options, modules));
}

export function runClients(options: DrillOptions, modules: LoadModules): Promise<ClientReport> {
  return inLab(options, modules, (rig) => drillClients(rig, modules));
}

/** Runs the drills on a rig that is up: two clusters, east and west, of two nodes. Does not delete what it creates there. */
export async function drillOn(
  rig: Rig,
  { faults, runs: wanted }: Pick<DrillOptions, "faults" | "runs">,
  modules: DrillModules,
): Promise<DrillReport> {
  const runs: RunReport[] = [];
  const problems: string[] = [];
  const drills = DRILLS.filter(({ name }) => faults.includes(name));
  let broken = 0;
  for (let round = 1; round <= wanted && broken < MOST_BROKEN && !modules.signal.aborted; round += 1) {
    const shape = { rate: RATE, lingerMs: 0 };
    try {
      await underLoad(rig, shape, modules, (world, log) =>
        runRound({ drills, round, wanted, runs, world, log }, modules),
      );
      broken = 0;
    } catch (error) {
      broken += 1;
      const reason = error instanceof Error ? error.message : String(error);
      problems.push(`round ${round}: ${reason}`);
      modules.say(`Round ${round} ended early: ${reason}`);
    }
  }
  return makeReport({ wanted, faults: drills.map(({ name }) => name), runs, problems });
}

export interface Round {
  readonly drills: readonly Drill[];
  readonly round: number;
  readonly wanted: number;
  /** Of all rounds; the runs of this one are added. */
  readonly runs: RunReport[];
  readonly world: RigWorld;
  readonly log: Pick<SampleLog, "samples" | "stalls" | "completeUntil" | "started">;
}

/** Repeats a run in which the client was starved; of each fault at most as many, in all rounds, as runs are wanted. */
export async function runRound(round: Round, { onRun, signal }: Pick<DrillModules, "onRun" | "signal">): Promise<void> {
  const { drills, wanted, runs } = round;
  for (const drill of drills) {
    const isStarved = ({ fault, starved }: RunReport) => fault === drill.name && starved !== null;
    for (;;) {
      const run = await runDrill(drill, round, signal);
      runs.push(run);
      onRun(run);
      if (run.starved === null || runs.filter(isStarved).length > wanted) break;
    }
  }
}

async function runDrill(drill: Drill, { world, log, round }: Round, signal: AbortSignal): Promise<RunReport> {
  await recover(world);
  const { window, checks } = await restoring(world, () => drill.drive(world));
  await untilComplete(log, window.to, signal);
  const traffic: Traffic = { rate: log.started()?.rate ?? RATE, samples: log.samples(), stalls: log.stalls() };
  const results = checks(traffic);
  return {
    fault: drill.name,
    round,
    at: new Date().toISOString(),
    load: rounded(loadavg()[0] ?? 0, 1),
    ...costsOf(traffic, window),
    stallMs: longestStall(traffic, window),
    starved: starvedBy(traffic, window),
    passed: results.every(({ passed }) => passed),
    failures: results.filter(({ passed }) => !passed).map(({ text, detail }) => `${text}: ${detail}`),
  };
}
