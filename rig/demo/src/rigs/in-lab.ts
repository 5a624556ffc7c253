/** Runs work on the rig of a lab: one that is up, or else one that is brought up for it and taken down after it. */
import { openLab, useLab } from "@isthmus/lab";
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

export async function inLab<T extends { readonly passed: boolean }>(
  use: LabUse,
  modules: RigModules,
  work: (rig: Rig) => Promise<T>,
): Promise<T> {
  const { say, signal } = modules;
  const shape = { name: use.lab, clusters: ["east", "west"], nodes: 2, bare: false };
  const found = await useLab(shape, { keep: use.keep, onProgress: say, signal });
  let inUse = false;
  try {
    return await alone(labRig(await openLab(use.lab)), use, modules, work);
  } catch (error) {
    inUse = MeshError.from(error).code === "RIG_IN_USE";
    throw error;
  } finally {
    await (inUse ? found.leave() : found.release());
  }
}
