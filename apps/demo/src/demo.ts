/**
 * The demo from nothing to a report: lab up, mesh connected, load running, faults one after another, lab down.
 *
 * Out: the report, whatever happened; a demo that ended early says why in `problem` and has not passed.
 */
import { downLab, upLab } from "@isthmus/lab";
import { type ClusterAccess, createLabWorld, delay, openClusters } from "./drive/lab-world.js";
import { type Driven, driveFaults } from "./faults/faults.js";
import { makeReport, type Report } from "./judge/report.js";
import type { Mark } from "./judge/runs.js";
import type { DemoOptions } from "./options.js";
import type { SampleLog } from "./samples/log.js";
import { monoNow } from "./samples/sample.js";
import { setUp } from "./setup/setup.js";

export interface DemoModules {
  readonly say: (sentence: string) => void;
  readonly onMark: (fault: string, mark: Mark) => void;
  /** Called with the client's samples once there are some. */
  readonly onLog: (log: SampleLog) => void;
  /** Awaited when everything runs, before the first fault. */
  readonly beforeFaults?: () => Promise<void>;
  readonly signal: AbortSignal;
}

/** The deadline of a request, and time for its sample to arrive. */
const TAIL_MS = 2500;

export async function runDemo(options: DemoOptions, modules: DemoModules): Promise<Report> {
  const { say, signal } = modules;
  const lab = await upLab({ name: options.lab, clusters: ["east", "west"], nodes: 2, onProgress: say, signal });
  const watches = new AbortController();
  const clusters = openClusters(lab);
  for (const { slices } of clusters.values()) void slices.run(watches.signal);
  try {
    const own = AbortSignal.any([signal, watches.signal]);
    const { log, clientNode, following } = await setUp({ lab, clusters, rate: options.rate, say, signal: own });
    modules.onLog(log);
    const world = await createLabWorld({ lab, clusters, clientNode, progress: modules.onMark, signal });
    await modules.beforeFaults?.();
    const driven = await driveFaults(world, options.faults);
    world.close();
    await tail(log, monoNow(), signal);
    watches.abort();
    await following;
    return reportOf(driven, log, signal);
  } finally {
    watches.abort();
    await takeDown(options, clusters, say);
  }
}

/** Waits until every sample due before `end` is in. */
async function tail(log: SampleLog, end: number, signal: AbortSignal): Promise<void> {
  const limit = monoNow() + 15_000;
  await delay(TAIL_MS, signal).catch(() => undefined);
  while (!signal.aborted && log.completeUntil() < end && monoNow() < limit) await delay(100, signal);
}

function reportOf(driven: Driven, log: SampleLog, signal: AbortSignal): Report {
  const start = log.started();
  return makeReport({
    runs: driven.runs,
    problem: signal.aborted ? "interrupted" : driven.problem,
    traffic: { rate: start?.rate ?? 0, samples: log.samples() },
    begun: start?.mono ?? 0,
    startedAt: new Date(start?.wall ?? 0).toISOString(),
  });
}

async function takeDown(options: DemoOptions, clusters: ReadonlyMap<string, ClusterAccess>, say: (s: string) => void) {
  for (const { transport } of clusters.values()) transport.close();
  if (options.keep) {
    say(`The lab stays up: eval "$(npx mesh lab env --name ${options.lab})"; npx mesh lab down --name ${options.lab}`);
    return;
  }
  say("Taking the lab down");
  await downLab({ name: options.lab });
}
