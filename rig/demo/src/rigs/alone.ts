/** Runs work on a rig that nobody else uses, and saves the logs of every process when it has not passed. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { MeshError } from "@isthmus/model";
import { useExclusively } from "./exclusive-use.js";
import type { Rig } from "./rig.js";

export interface RigUse {
  /** Folder for reports and logs. */
  readonly out: string;
}

export interface RigModules {
  readonly say: (sentence: string) => void;
  readonly signal: AbortSignal;
}

/** Throws `RIG_IN_USE` when other work runs there. */
export async function alone<T extends { readonly passed: boolean }>(
  rig: Rig,
  { out }: RigUse,
  { say }: RigModules,
  work: (rig: Rig) => Promise<T>,
): Promise<T> {
  const using = await useExclusively(rig);
  let passed = false;
  try {
    const report = await work(rig);
    passed = report.passed;
    return report;
  } finally {
    await using.end();
    if (!passed) await keepLogs(rig, out, say);
  }
}

/** A lab deletes its logs when it is taken down. */
async function keepLogs(rig: Rig, out: string, say: (sentence: string) => void): Promise<void> {
  const folder = logsFolder(out);
  try {
    await rm(folder, { recursive: true, force: true });
    await rig.saveLogs(folder);
    say(`The logs of every process: ${folder}`);
  } catch (error) {
    say(`Cannot keep the logs: ${MeshError.from(error).message}`);
  }
}

export function logsFolder(out: string): string {
  return join(out, "logs");
}
