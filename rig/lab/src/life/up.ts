/**
 * `up`: finds everything that a lab needs, claims its name, starts the supervisor and follows it until the lab is ready.
 *
 * Invariant: when this rejects, nothing that it started is left.
 */
import { preflight } from "../host/preflight.js";
import { labImages } from "../images/lab-images.js";
import { nativeBinary } from "../images/native.js";
import { resolveKubeBinaries } from "../kube-binaries/resolve.js";
import { meshPrograms } from "../mesh/programs.js";
import { labPaths } from "../plan/paths.js";
import type { DatapathMode } from "../plan/plan.js";
import type { LabInputs, MeshPrograms } from "../supervise/context.js";
import { claimLab } from "./claim.js";
import { downLab } from "./down.js";
import { findRunning } from "./find-running.js";
import { followUntilReady } from "./follow.js";
import { type LabHandle, openLab } from "./handle.js";
import { startSupervisor } from "./start-supervisor.js";

export interface UpOptions {
  /** "lab" when absent. */
  readonly name?: string;
  /** ["east", "west"] when absent. */
  readonly clusters?: readonly string[];
  /** Nodes per cluster; 2 when absent. */
  readonly nodes?: number;
  /** Kubernetes only: no CNI, no processes of the mesh; nodes register and stay NotReady. */
  readonly bare?: boolean;
  /** `--datapath-mode` of the agents; their default when absent. */
  readonly datapathMode?: DatapathMode;
  /** Programs of the mesh to use instead of those in this checkout. */
  readonly programs?: MeshPrograms;
  /** An abort takes down what was started. */
  readonly signal?: AbortSignal;
  /** Called with a sentence for each step. */
  readonly onProgress?: (sentence: string) => void;
}

export async function upLab(options: UpOptions = {}): Promise<LabHandle> {
  const name = options.name ?? "lab";
  const say = options.onProgress ?? (() => undefined);
  if (await findRunning(name, options, say)) {
    await followUntilReady(name, say, options.signal);
    return await openLab(name);
  }
  const shape = {
    name,
    clusters: options.clusters ?? ["east", "west"],
    nodesPerCluster: options.nodes ?? 2,
    bare: options.bare ?? false,
    datapathMode: options.datapathMode,
  };
  const { mountedBpffs } = await preflight(shape);
  const inputs = await findInputs(options, say);
  options.signal?.throwIfAborted();
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

async function findInputs(options: UpOptions, say: (sentence: string) => void): Promise<LabInputs> {
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const { directory } = await resolveKubeBinaries({ onProgress: say, ...signal });
  const base = { bin: directory, reaper: await nativeBinary("reaper"), imageArchives: [await labImages()] };
  return options.bare === true ? base : { ...base, mesh: options.programs ?? meshPrograms() };
}
