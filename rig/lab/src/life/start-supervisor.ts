/** Starts the detached supervisor of a lab, inside the lab's control group from its first instruction. */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { makeCgroup } from "../host/cgroups.js";
import { hostHierarchies } from "../host/mounts.js";
import { waitFor } from "../host/wait.js";
import { labError } from "../plan/errors.js";
import { type LabPaths, PACKAGE_ROOT } from "../plan/paths.js";
import { createLabClient } from "../supervise/client.js";
import { cgroupOf } from "../supervise/context.js";
import { joinCgroup, SYSTEM_PATH } from "../supervise/wrap.js";
import type { LabRecord } from "./claim.js";

/** Resolves when the supervisor answers on its socket. */
export async function startSupervisor(record: LabRecord, paths: LabPaths): Promise<void> {
  const hierarchies = hostHierarchies();
  const cgroup = cgroupOf(record.plan, "supervisor");
  makeCgroup(hierarchies, cgroup);
  await mkdir(paths.logs, { recursive: true });
  const log = openSync(join(paths.logs, "lab.log"), "a", 0o640);
  const argv = joinCgroup(hierarchies, cgroup, [
    process.execPath,
    join(PACKAGE_ROOT, "dist/supervisor-main.js"),
    record.plan.name,
  ]);
  const env = { ...process.env, PATH: SYSTEM_PATH };
  const child = spawn(argv[0] ?? "", argv.slice(1), { detached: true, stdio: ["ignore", log, log], cwd: "/", env });
  closeSync(log);
  const ended = new Promise<never>((_, reject) => {
    child.once("error", reject);
    child.once("exit", (code) =>
      reject(labError("STEP_FAILED", `The lab's supervisor ended at once (exit ${code}); see ${paths.logs}/lab.log`)),
    );
  });
  const client = createLabClient(record.plan.name, paths.socket);
  const answers = () => client.rows().catch(() => undefined);
  await Promise.race([waitFor("the lab's supervisor", answers, { timeoutMs: 20_000, everyMs: 20 }), ended]);
  child.removeAllListeners();
  ended.catch(() => undefined);
  child.unref();
}
