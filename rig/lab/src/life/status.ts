/** Status and control of the processes of a running lab, by the lab's name. */
import { stat } from "node:fs/promises";
import { labError } from "../plan/errors.js";
import type { Action } from "../supervise/lab-service.js";
import type { ProcessRow, Selector } from "../supervise/process-table.js";
import { openLab } from "./handle.js";
import { endSupervisor } from "./supervisor.js";

/** Returns every process; the first row is the supervisor, role "lab". Throws `NOT_RUNNING`. */
export async function labStatus(name = "lab"): Promise<ProcessRow[]> {
  return await (await openLab(name)).client.rows();
}

/** `stop` and `hold` (by SIGKILL) keep a process down, `start` starts it again, `kill` sends SIGKILL. Returns the rows after it, for `kill` those before. */
export async function controlProcess(name: string, action: Action, selector: Selector): Promise<ProcessRow[]> {
  const lab = await openLab(name);
  if (selector.role === "lab") return await endSupervisor(lab, action);
  return await lab.client.control(action, selector);
}

/** Empties the shared etcd; it restarts provisioned. */
export async function wipe(name: string, role = "mesh-etcd"): Promise<ProcessRow[]> {
  return await (await openLab(name)).client.wipe(role);
}

/** Imports a docker-archive on all nodes, or on those of one cluster; returns their names. `file`: absolute path. */
export async function loadImage(name: string, file: string, cluster?: string): Promise<string[]> {
  if (!(await stat(file).catch(() => undefined))?.isFile())
    throw labError("NOT_FOUND", `Cannot find the image archive "${file}"`);
  return await (await openLab(name)).client.loadImage(file, cluster);
}
