/** Starts the guard of a fault, in the lab's control group from its first instruction. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "@isthmus/model";
import { hostHierarchies } from "../host/mounts.js";
import type { LabHandle } from "../life/handle.js";
import { labError } from "../plan/errors.js";
import { PACKAGE_ROOT } from "../plan/paths.js";
import { cgroupOf } from "../supervise/context.js";
import { joinCgroup, SYSTEM_PATH } from "../supervise/wrap.js";
import type { GuardAnswer, GuardOrder } from "./guard.js";
import type { FaultRecord } from "./records.js";

/** Unit of the lab's control group in which the guards run. */
export const GUARD_UNIT = "faults";

/** Resolves when the fault is in force; the guard then needs this process no longer. Rejects with the guard's error. */
export async function startGuard({ plan, paths }: LabHandle, order: GuardOrder): Promise<FaultRecord> {
  const main = join(PACKAGE_ROOT, "dist/faults/guard-main.js");
  const argv = joinCgroup(hostHierarchies(), cgroupOf(plan, GUARD_UNIT), [
    process.execPath,
    main,
    JSON.stringify(order),
  ]);
  const logFile = join(paths.logs, "faults.log");
  const log = openSync(logFile, "a", 0o640);
  const env = { ...process.env, PATH: SYSTEM_PATH };
  const child = spawn(argv[0] ?? "", argv.slice(1), { detached: true, stdio: ["ignore", "pipe", log], cwd: "/", env });
  closeSync(log);
  const line = await firstLine(child);
  child.unref();
  if (line === "") throw labError("STEP_FAILED", `The fault's guard process ended at once; see ${logFile}`);
  const answer: GuardAnswer = JSON.parse(line);
  if ("record" in answer) return answer.record;
  throw new MeshError({ code: answer.error.code }, answer.error.sentence);
}

/** "" when the process ends without one. */
async function firstLine({ stdout }: ChildProcess): Promise<string> {
  let text = "";
  stdout?.setEncoding("utf8");
  for await (const piece of stdout ?? []) {
    text += piece;
    if (text.includes("\n")) break;
  }
  return text.split("\n")[0] ?? "";
}
