/**
 * Claims a lab's name and its index on this machine, by creating files that must not exist yet.
 *
 * Out: a plan written to `lab.json`; from then on `down` can undo everything.
 */
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freeIndex } from "../node/underlay.js";
import { labError } from "../plan/errors.js";
import { LABS_ROOT, type LabPaths, labPaths } from "../plan/paths.js";
import { type LabPlan, makePlan, type PlanOptions } from "../plan/plan.js";
import type { LabInputs } from "../supervise/context.js";

const STALE_INDEX_MS = 60_000;

/** Content of `lab.json`. */
export interface LabRecord {
  readonly plan: LabPlan;
  readonly inputs: LabInputs;
  /** True when `up` had to mount bpffs. */
  readonly mountedBpffs: boolean;
}

export async function readRecord(paths: LabPaths): Promise<LabRecord | undefined> {
  try {
    return JSON.parse(await readFile(paths.plan, "utf8"));
  } catch {
    return undefined;
  }
}

/** Names of all labs that have a folder on this machine. */
export async function labNames(): Promise<string[]> {
  const entries = await readdir(LABS_ROOT, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

export async function claimLab(
  options: Omit<PlanOptions, "index">,
  inputs: LabInputs,
  mountedBpffs: boolean,
): Promise<LabRecord> {
  makePlan({ ...options, index: 0 });
  const paths = labPaths(options.name);
  await mkdir(LABS_ROOT, { recursive: true, mode: 0o755 });
  await mkdir(paths.root, { mode: 0o700 }).catch((cause: unknown) => {
    throw labError(
      "STEP_FAILED",
      `Lab "${options.name}" exists already; "mesh lab down --name ${options.name}" removes it`,
      cause,
    );
  });
  try {
    const record = { plan: makePlan({ ...options, index: await claimIndex(options.name) }), inputs, mountedBpffs };
    await writeFile(paths.plan, `${JSON.stringify(record, null, 2)}\n`);
    return record;
  } catch (error) {
    await releaseIndexes(options.name);
    await rm(paths.root, { recursive: true, force: true });
    throw error;
  }
}

async function claimIndex(name: string): Promise<number> {
  const taken = new Set<number>();
  for (;;) {
    const index = await freeIndex(taken);
    try {
      await writeFile(indexFile(index), name, { flag: "wx" });
      return index;
    } catch {
      taken.add(index);
      await releaseStale(indexFile(index));
    }
  }
}

/** Removes an old index file whose lab has no folder, as after a crash of the machine; the next claim can use the index. */
async function releaseStale(file: string): Promise<void> {
  const writtenMs = (await stat(file).catch(() => undefined))?.mtimeMs ?? Number.POSITIVE_INFINITY;
  if (Date.now() - writtenMs < STALE_INDEX_MS) return;
  const holder = await readFile(file, "utf8").catch(() => "");
  if (!(await labNames()).includes(holder)) await rm(file, { force: true });
}

/** Releases the index of a lab, also if its `lab.json` was never written. */
export async function releaseIndexes(name: string): Promise<void> {
  for (const entry of await readdir(LABS_ROOT).catch(() => [])) {
    if (!entry.startsWith(".index-")) continue;
    const file = join(LABS_ROOT, entry);
    if ((await readFile(file, "utf8").catch(() => "")) === name) await rm(file, { force: true });
  }
}

function indexFile(index: number): string {
  return join(LABS_ROOT, `.index-${index}`);
}
