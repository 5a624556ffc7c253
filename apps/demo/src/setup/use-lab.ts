/**
 * One demo at a time in a lab: two would take each other's replicas and clients away. A file in the lab's folder says who is
 * there; a process is its pid and start time, so that one which was killed holds nobody up.
 */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { identify, isAlive, type LabHandle, type ProcessIdentity } from "@isthmus/lab";
import { MeshError } from "@isthmus/model";

export interface LabUse {
  end(): Promise<void>;
}

/** Throws `LAB_IN_USE`. */
export async function useLab({ plan, paths }: Pick<LabHandle, "plan" | "paths">): Promise<LabUse> {
  const file = join(paths.root, "demo.json");
  const other = await holderOf(file);
  if (other !== undefined) {
    const sentence = `Another demo (pid ${other.pid}) runs in lab "${plan.name}": wait for its end, or use another lab: --lab NAME`;
    throw new MeshError({ code: "LAB_IN_USE", pid: other.pid }, sentence);
  }
  await writeFile(file, JSON.stringify(identify(process.pid)));
  return { end: () => rm(file, { force: true }) };
}

async function holderOf(file: string): Promise<ProcessIdentity | undefined> {
  try {
    const holder = JSON.parse(await readFile(file, "utf8")) as ProcessIdentity;
    return isAlive(holder) ? holder : undefined;
  } catch {
    return undefined;
  }
}
