/**
 * `down`: removes everything of a lab, with or without a running supervisor, in one code path.
 *
 * Needs no state: processes are found by the lab's control group, the rest by names derived from the lab's name.
 *
 *   supervisor, then everything in the control groups ──► groups ──► link ──► pins ──► files ──► index
 */
import { existsSync } from "node:fs";
import { readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { removeCgroup } from "../host/cgroups.js";
import { ip } from "../host/links.js";
import { type CgroupHierarchy, hostHierarchies, readMounts } from "../host/mounts.js";
import { run } from "../host/run.js";
import { waitFor } from "../host/wait.js";
import { hasRootLink } from "../node/underlay.js";
import { labError } from "../plan/errors.js";
import { labPaths } from "../plan/paths.js";
import { PIN_ROOT } from "../plan/pins.js";
import { checkLabName } from "../plan/plan.js";
import { labNames, readRecord, releaseIndexes } from "./claim.js";
import { endProcesses } from "./end-processes.js";

export interface DownOptions {
  /** "lab" when absent. */
  readonly name?: string;
}

const TIMEOUT_MS = 30_000;

/** Returns false when no such lab exists. Throws `LEFT_OVER` with what could not be removed. */
export async function downLab(options: DownOptions = {}): Promise<boolean> {
  const name = options.name ?? "lab";
  checkLabName(name);
  const paths = labPaths(name);
  const record = await readRecord(paths);
  const existed = existsSync(paths.root);
  const group = `isthmus-${name}`;
  const hierarchies = hostHierarchies();
  await endProcesses(hierarchies, group);
  await removeGroups(hierarchies, group);
  if (record !== undefined) await removeLink(record.plan.rootLink);
  await rm(join(PIN_ROOT, name), { recursive: true, force: true });
  await removeFolder(paths.root);
  await releaseIndexes(name);
  if ((await labNames()).length === 0) await releaseBpffs(record?.mountedBpffs ?? false);
  return existed;
}

async function removeGroups(hierarchies: readonly CgroupHierarchy[], group: string): Promise<void> {
  let left: string[] = [];
  const removed = () => {
    left = removeCgroup(hierarchies, group);
    return left.length === 0;
  };
  await waitFor("the control groups to be empty", removed, { timeoutMs: TIMEOUT_MS, everyMs: 20 }).catch(
    (cause: unknown) => {
      throw labError("LEFT_OVER", `Cannot remove control groups: ${left.join(", ")}`, cause);
    },
  );
}

/** The kernel removes the link with the underlay's namespace, after its last process has exited; this deletes it and waits. */
async function removeLink(link: string): Promise<void> {
  const gone = async () => {
    if (!(await hasRootLink(link))) return true;
    await ip("root", [`link del ${link}`]).catch(() => undefined);
    return false;
  };
  await waitFor(`link "${link}" to go`, gone, { timeoutMs: TIMEOUT_MS, everyMs: 20 });
}

/** Removes the folder. Nothing of a lab is mounted in the root mount namespace; if something is, nothing is deleted through it. */
async function removeFolder(folder: string): Promise<void> {
  const mounted = readMounts().find(({ target }) => target.startsWith(`${folder}/`));
  if (mounted !== undefined)
    throw labError("LEFT_OVER", `Cannot remove "${folder}": "${mounted.target}" is mounted there`);
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}

/** After the last lab, removes the folder of pins, and unmounts bpffs if `up` mounted it and nothing else uses it. */
async function releaseBpffs(mounted: boolean): Promise<void> {
  await rmdir(PIN_ROOT).catch(() => undefined);
  const inUse = (await readdir("/sys/fs/bpf").catch(() => [])).some((entry) => !entry.endsWith(".debug"));
  if (mounted && !inUse) await run(["umount", "/sys/fs/bpf"]).catch(() => undefined);
}
