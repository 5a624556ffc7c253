/** Finds the process that caused a failed step, and the end of its log. */
import { readFile } from "node:fs/promises";
import type { MeshError } from "@isthmus/model";
import { lastLines } from "../host/run.js";
import type { ProcessTable } from "./process-table.js";
import type { Explain } from "./progress.js";

const LINES = 20;

/** Chooses the process that the sentence quotes, else the step's own, else one that keeps exiting. */
export function createExplain(processes: ProcessTable): Explain {
  return async (error: MeshError, processId) => {
    const all = processes.all();
    const quoted = all.find(({ id }) => error.message.includes(`"${id}"`));
    const own = all.find(({ id }) => id === processId);
    const chosen = quoted ?? own ?? all.find((process) => process.state().status === "Waiting");
    if (chosen === undefined) return "";
    const log = await readFile(chosen.spec.log, "utf8").catch(() => "");
    return log === "" ? "" : `${chosen.spec.log}:\n${lastLines(log, LINES)}`;
  };
}
