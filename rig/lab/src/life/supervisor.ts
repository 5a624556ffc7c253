/** Kills the supervisor like any other process of the lab; the lab then runs unsupervised until `down`. */
import { isAlive, signalProcess } from "../host/process.js";
import { waitFor } from "../host/wait.js";
import { labError } from "../plan/errors.js";
import type { Action } from "../supervise/lab-service.js";
import type { ProcessRow } from "../supervise/process-table.js";
import type { LabHandle } from "./handle.js";

export async function endSupervisor(lab: LabHandle, action: Action): Promise<ProcessRow[]> {
  const name = lab.plan.name;
  if (action !== "kill")
    throw labError("USAGE", `The lab itself can only be killed; "mesh lab down --name ${name}" ends it`);
  const row = (await lab.client.rows()).find(({ role }) => role === "lab");
  if (row === undefined) throw labError("NOT_RUNNING", `Lab "${name}" has no supervisor`);
  const identity = { pid: row.pid, startTicks: row.startTicks };
  signalProcess(identity, "SIGKILL");
  await waitFor("the supervisor to end", () => !isAlive(identity), { timeoutMs: 5_000, everyMs: 10 });
  return [row];
}
