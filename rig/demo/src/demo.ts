/**
 * Runs the demo: brings a rig up, connects the mesh, starts the load, injects the faults one after another.
 *
 * Out: the report, also when the demo ended early; then `problem` has the reason and the demo has not passed.
 * Invariant: a lab or kind clusters that were up before the demo are up after it.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { downLab, labStatus, upLab } from "@isthmus/lab";
import { MeshError, systemClock } from "@isthmus/model";
import { sleep, waitWithin } from "@isthmus/runtime";
import { openClusters, openMeshWorld } from "./drive/mesh-world.js";
import { type Driven, driveFaults } from "./faults/faults.js";
import type { MovesReading } from "./judge/moves.js";
import { makeReport, type Report } from "./judge/report.js";
import type { Mark } from "./judge/runs.js";
import type { DemoOptions } from "./options.js";
import { useExclusively } from "./rigs/exclusive-use.js";
import { kindRig } from "./rigs/kind-rig.js";
import { labRig } from "./rigs/lab-rig.js";
import type { Rig } from "./rigs/rig.js";
import type { SampleLog } from "./samples/log.js";
import { monoNow } from "./samples/sample.js";
import { runMeshCommand } from "./setup/mesh-command.js";
import { setUp } from "./setup/setup.js";

export interface DemoModules {
  readonly say: (sentence: string) => void;
  readonly onMark: (fault: string, mark: Mark) => void;
  /** Called once with the log of the client's samples. */
  readonly onLog: (log: SampleLog) => void;
  /** Awaited after everything runs and before the first fault. */
  readonly beforeFaults?: () => Promise<void>;
  readonly signal: AbortSignal;
}

/** The deadline of a request, plus time for its sample to arrive. */
const TAIL_MS = 2500;

export function runDemo(options: DemoOptions, modules: DemoModules): Promise<Report> {
  return options.kind ? demoAlone(kindRig(process.env), options, modules) : demoInLab(options, modules);
}

async function demoInLab(options: DemoOptions, modules: DemoModules): Promise<Report> {
  const { say, signal } = modules;
  const name = options.lab;
  const wasUp = await labStatus(name).then(
    () => true,
    () => false,
  );
  say(wasUp ? `Lab "${name}" is up already` : `$ mesh lab up --name ${name}`);
  const onProgress = wasUp ? () => undefined : say;
  const lab = await upLab({ name, clusters: ["east", "west"], nodes: 2, onProgress, signal });
  let inUse = false;
  try {
    return await demoAlone(labRig(lab), options, modules);
  } catch (error) {
    // Another demo uses the lab, so it is not taken down.
    inUse = MeshError.from(error).code === "RIG_IN_USE";
    throw error;
  } finally {
    if (inUse || options.keep || wasUp) {
      say(`Lab "${name}" stays up: eval "$(npx mesh lab env --name ${name})"; npx mesh lab down --name ${name}`);
    } else {
      say("Taking the lab down");
      await downLab({ name });
    }
  }
}

/** Throws `RIG_IN_USE` when another demo runs there. */
async function demoAlone(rig: Rig, options: DemoOptions, modules: DemoModules): Promise<Report> {
  const using = await useExclusively(rig);
  let passed = false;
  try {
    const report = await demoOn(rig, options, modules);
    passed = report.passed;
    return report;
  } finally {
    await using.end();
    if (!passed) await keepLogs(rig, options.out, modules.say);
  }
}

/** Saves the logs of every process for the analysis of a failure; a lab deletes its logs when it is taken down. */
async function keepLogs(rig: Rig, out: string, say: (sentence: string) => void): Promise<void> {
  const folder = logsFolder(out);
  try {
    await rm(folder, { recursive: true, force: true });
    await rig.saveLogs(folder);
    say(`The logs of every process: ${folder}`);
  } catch (error) {
    say(`Cannot keep the logs: ${MeshError.from(error).message}`);
  }
}

export function logsFolder(out: string): string {
  return join(out, "logs");
}

/** Runs the demo on a rig that is up: two clusters, east and west, of two nodes. Does not delete what it creates there. */
export async function demoOn(
  rig: Rig,
  options: Pick<DemoOptions, "faults" | "rate">,
  modules: DemoModules,
): Promise<Report> {
  const { say, signal } = modules;
  const watches = new AbortController();
  const clusters = openClusters(rig);
  for (const { slices } of clusters.values()) void slices.run(watches.signal);
  try {
    const own = AbortSignal.any([signal, watches.signal]);
    const mesh = (...args: readonly string[]) => runMeshCommand(rig, args, say, own);
    const { log, clientNode, following } = await setUp({ mesh, clusters, rate: options.rate, say, signal: own });
    modules.onLog(log);
    const world = await openMeshWorld(rig, clientNode, { clusters, progress: modules.onMark, signal });
    await modules.beforeFaults?.();
    const driven = await driveFaults(world, options.faults);
    world.close();
    await tail(log, monoNow(), signal);
    watches.abort();
    await following;
    return reportOf(driven, { log, moves: world.moves, signal });
  } finally {
    watches.abort();
    for (const { transport } of clusters.values()) transport.close();
  }
}

/** Waits until every sample due before `end` has arrived. */
async function tail(log: SampleLog, end: number, signal: AbortSignal): Promise<void> {
  await sleep(systemClock, TAIL_MS, signal);
  const arrived = () => log.completeUntil() >= end;
  await waitWithin(arrived, { timeoutMs: 15_000 - TAIL_MS, everyMs: 100, signal }).catch(() => undefined);
}

interface Recorded {
  readonly log: SampleLog;
  readonly moves: readonly MovesReading[];
  readonly signal: AbortSignal;
}

function reportOf(driven: Driven, { log, moves, signal }: Recorded): Report {
  const start = log.started();
  return makeReport({
    runs: driven.runs,
    problem: signal.aborted ? "interrupted" : driven.problem,
    traffic: { rate: start?.rate ?? 0, samples: log.samples() },
    moves,
    begun: start?.mono ?? 0,
    startedAt: new Date(start?.wall ?? 0).toISOString(),
  });
}
