/** Runs what a user runs with a lab: `mesh lab …` and kubectl. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { LabHandle } from "../life/handle.js";
import { labStatus } from "../life/status.js";
import { PACKAGE_ROOT } from "../plan/paths.js";
import type { ProcessRow } from "../supervise/process-table.js";

export const LAB_MAIN = join(PACKAGE_ROOT, "dist/main.js");

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `mesh lab …` to its end; does not reject for an exit code other than 0. */
export async function labCommand(...args: readonly string[]): Promise<Ran> {
  return await labCommandWith({}, ...args);
}

/** The same with additional environment variables. */
export async function labCommandWith(env: NodeJS.ProcessEnv, ...args: readonly string[]): Promise<Ran> {
  return await promisify(execFile)(process.execPath, [LAB_MAIN, ...args], { env: { ...process.env, ...env } }).then(
    ({ stdout, stderr }) => ({ code: 0, out: stdout, err: stderr }),
    ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({
      code,
      out: stdout,
      err: stderr,
    }),
  );
}

/** Runs kubectl and returns its stdout; rejects when it fails. */
export async function kubectl(lab: LabHandle, context: string, ...args: readonly string[]): Promise<string> {
  const argv = ["--kubeconfig", lab.kubeconfig, "--context", context, ...args];
  return (await promisify(execFile)(join(lab.bin, "kubectl"), argv)).stdout;
}

/** The only process of that role in the cluster or on the node. */
export async function rowOf(lab: LabHandle, role: string, place = ""): Promise<ProcessRow> {
  const rows = await labStatus(lab.plan.name);
  const found = rows.filter(
    (row) => row.role === role && (place === "" || place === row.cluster || place === row.node),
  );
  const [first] = found;
  if (first === undefined || found.length > 1) throw new Error(`${found.length} processes "${role}" in "${place}"`);
  return first;
}
