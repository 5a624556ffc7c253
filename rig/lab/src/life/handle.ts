/** A running lab for tests, the demo and other commands. */
import { labError } from "../plan/errors.js";
import { type LabPaths, labPaths } from "../plan/paths.js";
import type { LabPlan } from "../plan/plan.js";
import { createLabClient, type LabClient } from "../supervise/client.js";
import { labNames, readRecord } from "./claim.js";

export interface LabHandle {
  readonly plan: LabPlan;
  readonly paths: LabPaths;
  /** File with one context per cluster, named after it. */
  readonly kubeconfig: string;
  /** Value of MESH_STORE. */
  readonly storeFile: string;
  /** Folder with kubectl, etcdctl and the rest. */
  readonly bin: string;
  readonly client: LabClient;
}

/** Opens the lab of that name from its plan; calls of `client` fail if it does not run. Throws `NOT_RUNNING`. */
export async function openLab(name = "lab"): Promise<LabHandle> {
  const paths = labPaths(name);
  const record = await readRecord(paths);
  if (record === undefined) {
    const others = await labNames();
    const there = others.length === 0 ? "" : ` (there are: ${others.sort().join(", ")})`;
    throw labError("NOT_RUNNING", `Lab "${name}" does not exist${there}; "mesh lab up --name ${name}" makes it`);
  }
  return {
    plan: record.plan,
    paths,
    kubeconfig: paths.kubeconfig,
    storeFile: paths.store.file,
    bin: record.inputs.bin,
    client: createLabClient(name, paths.socket),
  };
}
