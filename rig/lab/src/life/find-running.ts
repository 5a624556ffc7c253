/** What `up` does when a lab of that name exists already. */
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { pidsBelow } from "../host/cgroups.js";
import { hostHierarchies } from "../host/mounts.js";
import { waitFor } from "../host/wait.js";
import { labError } from "../plan/errors.js";
import { type LabPaths, labPaths } from "../plan/paths.js";
import type { LabPlan } from "../plan/plan.js";
import { createLabClient } from "../supervise/client.js";
import { cgroupOf } from "../supervise/context.js";
import { type LabRecord, readRecord } from "./claim.js";
import { downLab } from "./down.js";

export interface WantedShape {
  readonly clusters?: readonly string[];
  readonly nodes?: number;
}

/** The most that may pass from the claim of a name to its record, and from there to the supervisor's first answer. */
const CLAIM_GRACE_MS = 5_000;

/** True when the lab is up or starting. Removes the remains of a dead one and reports that to `say`. Throws when the shape differs. */
export async function findRunning(
  name: string,
  wanted: WantedShape,
  say: (sentence: string) => void,
): Promise<boolean> {
  const paths = labPaths(name);
  if (!existsSync(paths.root)) return false;
  const record = await recordOf(paths);
  if (record !== undefined && (await answers(record.plan, paths))) {
    checkShape(record.plan, wanted);
    return true;
  }
  say(`Removing what is left of a lab "${name}" that has no supervisor; nothing that was made in it is kept`);
  await downLab({ name });
  return false;
}

/** The lab's record; undefined when there is none and no `up` is about to write one, as after a crash of the machine. */
async function recordOf(paths: LabPaths): Promise<LabRecord | undefined> {
  const record = await readRecord(paths);
  if (record !== undefined || (await ageMs(paths.root)) > CLAIM_GRACE_MS) return record;
  return await waitFor("the lab's record", () => readRecord(paths), { timeoutMs: CLAIM_GRACE_MS }).catch(
    () => undefined,
  );
}

async function answers(plan: LabPlan, paths: LabPaths): Promise<boolean> {
  const ask = () =>
    createLabClient(plan.name, paths.socket)
      .rows()
      .then(
        () => true,
        () => false,
      );
  if (await ask()) return true;
  const lives = pidsBelow(hostHierarchies(), cgroupOf(plan, "supervisor")).size > 0;
  if (!lives && (await ageMs(paths.plan)) > CLAIM_GRACE_MS) return false;
  return await waitFor("the lab's supervisor", ask, { timeoutMs: CLAIM_GRACE_MS }).catch(() => false);
}

/** Time since the file's last change; Infinity when it does not exist. */
async function ageMs(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  return found === undefined ? Number.POSITIVE_INFINITY : Date.now() - found.mtimeMs;
}

function checkShape(plan: LabPlan, wanted: WantedShape): void {
  const clusters = plan.clusters.map(({ name }) => name).join(",");
  const nodes = plan.clusters[0]?.nodes.length;
  const same = (wanted.clusters?.join(",") ?? clusters) === clusters && (wanted.nodes ?? nodes) === nodes;
  if (same) return;
  throw labError(
    "STEP_FAILED",
    `Lab "${plan.name}" is up with clusters ${clusters} of ${nodes} nodes; take it down to change that`,
  );
}
