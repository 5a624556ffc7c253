/**
 * `up`: finds everything that a lab needs, claims its name, starts the supervisor and follows it until all is ready.
 *
 * Invariant: when this rejects, nothing that it started is left.
 */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "@isthmus/model";
import { makeCgroup } from "../host/cgroups.js";
import { hostHierarchies } from "../host/mounts.js";
import { preflight } from "../host/preflight.js";
import { waitFor } from "../host/wait.js";
import { labImages } from "../images/lab-images.js";
import { nativeBinary } from "../images/native.js";
import { resolveKubeBinaries } from "../kube-binaries/resolve.js";
import { meshPrograms } from "../mesh/programs.js";
import { labError } from "../plan/errors.js";
import { type LabPaths, labPaths, PACKAGE_ROOT } from "../plan/paths.js";
import { createLabClient } from "../supervise/client.js";
import { cgroupOf, type LabInputs, type MeshPrograms } from "../supervise/context.js";
import type { ProgressEvent } from "../supervise/progress.js";
import { joinCgroup } from "../supervise/wrap.js";
import { claimLab, type LabRecord, readRecord } from "./claim.js";
import { downLab } from "./down.js";
import { type LabHandle, openLab } from "./handle.js";

export interface UpOptions {
  /** "lab" when absent. */
  readonly name?: string;
  /** ["east", "west"] when absent. */
  readonly clusters?: readonly string[];
  /** Nodes per cluster; 2 when absent. */
  readonly nodes?: number;
  /** Kubernetes alone: no CNI, none of our processes; nodes register and stay NotReady. */
  readonly bare?: boolean;
  /** Our own programs in place of those in this checkout. */
  readonly programs?: MeshPrograms;
  /** Aborting takes down what was started. */
  readonly signal?: AbortSignal;
  /** Sentences about what is being done. */
  readonly onProgress?: (sentence: string) => void;
}

export async function upLab(options: UpOptions = {}): Promise<LabHandle> {
  const name = options.name ?? "lab";
  const say = options.onProgress ?? (() => undefined);
  const running = await findRunning(name);
  if (running !== undefined) return running;
  const { mountedBpffs } = await preflight();
  const inputs = await findInputs(options, say);
  options.signal?.throwIfAborted();
  const shape = {
    name,
    clusters: options.clusters ?? ["east", "west"],
    nodesPerCluster: options.nodes ?? 2,
    bare: options.bare ?? false,
  };
  const record = await claimLab(shape, inputs, mountedBpffs);
  try {
    await startSupervisor(record, labPaths(name));
    await followUntilReady(name, say, options.signal);
  } catch (error) {
    say("Taking down what was started");
    await downLab({ name });
    throw error;
  }
  return await openLab(name);
}

/** A lab of that name that is up stays as it is; remains of one that is not are removed. */
async function findRunning(name: string): Promise<LabHandle | undefined> {
  const paths = labPaths(name);
  if ((await readRecord(paths)) === undefined) return undefined;
  try {
    await createLabClient(name, paths.socket).rows();
  } catch {
    await downLab({ name });
    return undefined;
  }
  return await openLab(name);
}

async function findInputs(options: UpOptions, say: (sentence: string) => void): Promise<LabInputs> {
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const { directory } = await resolveKubeBinaries({ onProgress: say, ...signal });
  const base = { bin: directory, reaper: await nativeBinary("reaper"), imageArchives: [await labImages()] };
  return options.bare === true ? base : { ...base, mesh: options.programs ?? meshPrograms() };
}

async function startSupervisor(record: LabRecord, paths: LabPaths): Promise<void> {
  const hierarchies = hostHierarchies();
  const cgroup = cgroupOf(record.plan, "supervisor");
  makeCgroup(hierarchies, cgroup);
  await mkdir(paths.logs, { recursive: true });
  const log = openSync(join(paths.logs, "lab.log"), "a", 0o640);
  const argv = joinCgroup(hierarchies, cgroup, [
    process.execPath,
    join(PACKAGE_ROOT, "dist/supervisor-main.js"),
    record.plan.name,
  ]);
  // Programs of a node are found by the system's path, not by the caller's.
  const env = { ...process.env, PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };
  const child = spawn(argv[0] ?? "", argv.slice(1), { detached: true, stdio: ["ignore", log, log], cwd: "/", env });
  closeSync(log);
  const ended = new Promise<never>((_, reject) => {
    child.once("error", reject);
    child.once("exit", (code) =>
      reject(labError("STEP_FAILED", `The lab's supervisor ended at once (exit ${code}); see ${paths.logs}/lab.log`)),
    );
  });
  const client = createLabClient(record.plan.name, paths.socket);
  const answers = () => client.rows().catch(() => undefined);
  await Promise.race([waitFor("the lab's supervisor", answers, { timeoutMs: 20_000, everyMs: 20 }), ended]);
  child.removeAllListeners();
  ended.catch(() => undefined);
  child.unref();
}

async function followUntilReady(name: string, say: (sentence: string) => void, signal?: AbortSignal): Promise<void> {
  const startMs = systemClock.now();
  const last = await createLabClient(name, labPaths(name).socket).follow((event) => tell(event, say), signal);
  if (last.type === "failed") {
    const log = last.log === "" ? "" : `\n${last.log}`;
    throw labError(
      last.code === "TIMEOUT" ? "TIMEOUT" : "STEP_FAILED",
      `Cannot bring lab "${name}" up: step "${last.step}" failed: ${last.sentence}${log}`,
    );
  }
  say(`Lab "${name}" is ready after ${((systemClock.now() - startMs) / 1000).toFixed(1)} s`);
}

function tell(event: ProgressEvent, say: (sentence: string) => void): void {
  if (event.type === "note" || event.type === "begin") return;
  const at = `${(event.atMs / 1000).toFixed(1).padStart(6)} s`;
  say(event.type === "ready" ? `${at}  ready` : `${at}  ${event.step}: ${event.type}`);
}
