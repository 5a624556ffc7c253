/** Applies the steps of a plan in order and reports each one when it is done. Stops at the first failure. */
import { type KubeClient, MESH_CLUSTERS, MESH_PEERS } from "@isthmus/kube";
import type { Store } from "@isthmus/kvstore";
import type { Step } from "./plan.js";
import { makeStoreUser } from "./store-users.js";

export interface ApplyPorts {
  /** The client of a context of the plan. */
  readonly client: (context: string) => KubeClient;
  /** The store with the owner's credential. */
  readonly store: Store;
  /** Path of the store file. */
  readonly storeFile: string;
  /** Called after each step, also for one that keeps what is there. */
  readonly onDone: (step: Step) => void;
}

const MANAGER = "mesh-connect";

/** Throws the error of the step that failed; those before it stay done. */
export async function applySteps(steps: readonly Step[], ports: ApplyPorts): Promise<void> {
  for (const step of steps) {
    if (step.action !== "keep") await applyStep(step, ports);
    ports.onDone(step);
  }
}

/** Server-side apply without force: a field that GitOps or a person manages is an error and is not overwritten. */
async function applyStep(step: Step, { client, store, storeFile }: ApplyPorts): Promise<void> {
  if (step.type === "user") return makeStoreUser(store, storeFile, step.cluster, step.id);
  const resource = step.type === "store" ? MESH_CLUSTERS : MESH_PEERS;
  await client(step.context).apply(resource, step.object, { manager: MANAGER });
}
