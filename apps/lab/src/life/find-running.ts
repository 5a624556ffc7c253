/** What `up` does about a lab of that name that exists already. */
import { stat } from "node:fs/promises";
import { pidsBelow } from "../host/cgroups.js";
import { hostHierarchies } from "../host/mounts.js";
import { waitFor } from "../host/wait.js";
import { labError } from "../plan/errors.js";
import { type LabPaths, labPaths } from "../plan/paths.js";
import type { LabPlan } from "../plan/plan.js";
import { createLabClient } from "../supervise/client.js";
import { cgroupOf } from "../supervise/context.js";
import { readRecord } from "./claim.js";
import { downLab } from "./down.js";

export interface WantedShape {
  readonly clusters?: readonly string[];
  readonly nodes?: number;
}

/** Between the claim of a name and the supervisor's first breath. */
const CLAIM_GRACE_MS = 5_000;

/** True: it is up, or on its way. Remains of one that is not are removed. Throws when it has another shape. */
export async function findRunning(name: string, wanted: WantedShape): Promise<boolean> {
  const paths = labPaths(name);
  const record = await readRecord(paths);
  if (record === undefined) return false;
  if (!(await answers(record.plan, paths))) {
    await downLab({ name });
    return false;
  }
  checkShape(record.plan, wanted);
  return true;
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
  const ageMs = Date.now() - ((await stat(paths.plan).catch(() => undefined))?.mtimeMs ?? 0);
  const lives = pidsBelow(hostHierarchies(), cgroupOf(plan, "supervisor")).size > 0;
  if (!lives && ageMs > CLAIM_GRACE_MS) return false;
  return await waitFor("the lab's supervisor", ask, { timeoutMs: CLAIM_GRACE_MS }).catch(() => false);
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
