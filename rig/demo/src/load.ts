/**
 * The load on a rig: sets the demo up, and runs work that sees what the client reports and can put faults in force.
 *
 * Invariant: when this returns, nothing of this process uses the rig any more. What was deployed stays.
 */
import { waitWithin } from "@isthmus/runtime";
import { type MeshWorld, openClusters, openMeshWorld } from "./drive/mesh-world.js";
import type { Mark } from "./judge/runs.js";
import type { RigModules } from "./rigs/alone.js";
import type { Rig } from "./rigs/rig.js";
import { lastAnswers, type SampleLog } from "./samples/log.js";
import { type Mono, monoNow } from "./samples/sample.js";
import { runMeshCommand } from "./setup/mesh-command.js";
import { setUp } from "./setup/setup.js";

export interface LoadShape {
  /** Requests a second. */
  readonly rate: number;
  /** For how long the servers answer after SIGTERM; 0: they exit at once. */
  readonly lingerMs: number;
}

export interface LoadModules extends RigModules {
  readonly onMark: (fault: string, mark: Mark) => void;
  /** Called once with the log of the client's samples. */
  readonly onLog: (log: SampleLog) => void;
}

export interface UnderLoad<T> {
  /** What the work resolved to. */
  readonly done: T;
  readonly log: SampleLog;
  /** Of the clients that the policy does not admit, one in each cluster. */
  readonly denied: readonly SampleLog[];
  readonly moves: MeshWorld["moves"];
}

/** For the samples of what was due at the end: the deadline, and the time of the API server that they come through. */
const TAIL_MS = 15_000;

/**
 * Runs `work` on a rig that is up: two clusters, east and west, of two nodes. The log is complete for what was due before the
 * work ended.
 */
export async function underLoad<T>(
  rig: Rig,
  shape: LoadShape,
  { say, onMark, onLog, signal }: LoadModules,
  work: (world: MeshWorld, log: SampleLog) => Promise<T>,
): Promise<UnderLoad<T>> {
  const watches = new AbortController();
  const clusters = openClusters(rig);
  for (const { slices } of clusters.values()) void slices.run(watches.signal);
  try {
    const own = AbortSignal.any([signal, watches.signal]);
    const mesh = (...args: readonly string[]) => runMeshCommand(rig, args, say, own);
    const { log, denied, clientNode, following } = await setUp({ mesh, clusters, ...shape, say, signal: own });
    onLog(log);
    const answers = (count: number) => lastAnswers(log, count);
    const world = await openMeshWorld(rig, clientNode, { clusters, lastAnswers: answers, progress: onMark, signal });
    const done = await work(world, log).finally(() => world.close());
    await untilComplete(log, monoNow(), signal);
    watches.abort();
    await following;
    return { done, log, denied, moves: world.moves };
  } finally {
    watches.abort();
    for (const { transport } of clusters.values()) transport.close();
  }
}

/** Waits until every sample due before `end` has arrived, 15 s at most. */
export async function untilComplete(
  log: Pick<SampleLog, "completeUntil">,
  end: Mono,
  signal: AbortSignal,
): Promise<void> {
  const arrived = () => log.completeUntil() >= end;
  await waitWithin(arrived, { timeoutMs: TAIL_MS, everyMs: 100, signal }).catch(() => undefined);
}
