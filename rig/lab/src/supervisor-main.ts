/**
 * The detached supervisor of a lab. `up` starts it with the lab's name; SIGTERM, from `down`, ends it and all of its children at
 * once.
 */
import { readFile, rm } from "node:fs/promises";
import { createBackoff } from "@isthmus/runtime";
import { hostHierarchies } from "./host/mounts.js";
import { waitFor } from "./host/wait.js";
import { labPaths } from "./plan/paths.js";
import type { LabPlan } from "./plan/plan.js";
import { bringUp } from "./supervise/bring-up.js";
import type { LabContext, LabInputs } from "./supervise/context.js";
import { createExplain } from "./supervise/explain.js";
import { createLabService } from "./supervise/lab-service.js";
import type { ManagedProcessModules } from "./supervise/managed-process.js";
import { createProcessTable } from "./supervise/process-table.js";
import { createProgress } from "./supervise/progress.js";
import { createLabServer } from "./supervise/server.js";
import { joinCgroup } from "./supervise/wrap.js";

const paths = labPaths(process.argv[2] ?? "lab");
const { plan, inputs }: { plan: LabPlan; inputs: LabInputs } = JSON.parse(await readFile(paths.plan, "utf8"));
const hierarchies = hostHierarchies();
const processes = createProcessTable();
const lifetime = new AbortController();
const modules: ManagedProcessModules = {
  newBackoff: () => createBackoff({ minMs: 200, maxMs: 5_000 }),
  joinCgroup: (cgroup, argv) => joinCgroup(hierarchies, cgroup, argv),
  onChange: () => undefined,
  signal: lifetime.signal,
};
const context: LabContext = { plan, paths, inputs, hierarchies, processes, modules };
const progress = createProgress(createExplain(processes));

progress.follow((event) => console.error(JSON.stringify(event)));

await rm(paths.socket, { force: true });
createLabServer(createLabService(context), progress).listen(paths.socket);
process.on("SIGTERM", () => void end());
process.on("SIGHUP", () => undefined);
// The progress has the failed step, which the waiting `up` reads before it takes everything down.
await bringUp(context, progress).catch((error: unknown) => console.error(error));

async function end(): Promise<void> {
  progress.close();
  lifetime.abort();
  const all = processes.all();
  for (const managed of all) managed.kill();
  const held = () => all.every((managed) => managed.state().status === "Held");
  await waitFor("all processes to end", held, { timeoutMs: 5_000, everyMs: 5 }).catch(() => undefined);
  process.exit(0);
}
