/**
 * Runs work on the rig of a lab: one that is up, or else one that is brought up for it and taken down after it, even when this
 * process is killed.
 *
 * Invariant: a lab that was up before is up after it.
 */
import { keepLab, labStatus, openLab, upLab } from "@isthmus/lab";
import { MeshError } from "@isthmus/model";
import { alone, type RigModules, type RigUse } from "./alone.js";
import { labRig } from "./lab-rig.js";
import type { Rig } from "./rig.js";

export interface LabUse extends RigUse {
  /** The lab's name. */
  readonly lab: string;
  /** Leaves the lab up. */
  readonly keep: boolean;
}

interface FoundLab {
  /** Takes it down; absent when it stays up. */
  readonly release?: () => Promise<void>;
  /** Leaves it to the work that uses it already. */
  readonly leave?: () => Promise<void>;
}

export async function inLab<T extends { readonly passed: boolean }>(
  use: LabUse,
  modules: RigModules,
  work: (rig: Rig) => Promise<T>,
): Promise<T> {
  const { say } = modules;
  const found = await findLab(use, modules);
  let inUse = false;
  try {
    return await alone(labRig(await openLab(use.lab)), use, modules, work);
  } catch (error) {
    inUse = MeshError.from(error).code === "RIG_IN_USE";
    throw error;
  } finally {
    if (inUse || found.release === undefined) {
      await found.leave?.();
      say(
        `Lab "${use.lab}" stays up: eval "$(npx mesh lab env --name ${use.lab})"; npx mesh lab down --name ${use.lab}`,
      );
    } else {
      say("Taking the lab down");
      await found.release();
    }
  }
}

async function findLab({ lab: name, keep }: LabUse, { say, signal }: RigModules): Promise<FoundLab> {
  const shape = { name, clusters: ["east", "west"], nodes: 2 };
  const isUp = await labStatus(name).then(
    () => true,
    () => false,
  );
  say(isUp ? `Lab "${name}" is up already` : `$ mesh lab up --name ${name}`);
  if (!isUp && !keep) return await keepLab({ ...shape, bare: false }, { onProgress: say, signal });
  await upLab({ ...shape, ...(isUp ? {} : { onProgress: say }), signal });
  return {};
}
