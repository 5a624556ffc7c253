/**
 * Allows one demo at a time in a rig, since two would change each other's replicas and clients. A file of the rig names the
 * process by pid and start time, so that a demo that was killed does not block the next.
 */
import { readFile, rm, writeFile } from "node:fs/promises";
import { identify, isAlive, type ProcessIdentity } from "@isthmus/lab";
import { MeshError } from "@isthmus/model";
import type { Rig } from "./rig.js";

export interface ExclusiveUse {
  end(): Promise<void>;
}

/** Throws `RIG_IN_USE`. */
export async function useExclusively({
  name,
  alternative,
  useFile,
}: Pick<Rig, "name" | "alternative" | "useFile">): Promise<ExclusiveUse> {
  const other = await holderOf(useFile);
  if (other !== undefined) {
    const sentence = `Another demo (pid ${other.pid}) runs in ${name}: wait for its end${alternative && `, or ${alternative}`}`;
    throw new MeshError({ code: "RIG_IN_USE", pid: other.pid }, sentence);
  }
  await writeFile(useFile, JSON.stringify(identify(process.pid)));
  return { end: () => rm(useFile, { force: true }) };
}

async function holderOf(file: string): Promise<ProcessIdentity | undefined> {
  try {
    const holder = JSON.parse(await readFile(file, "utf8")) as ProcessIdentity;
    return isAlive(holder) ? holder : undefined;
  } catch {
    return undefined;
  }
}
