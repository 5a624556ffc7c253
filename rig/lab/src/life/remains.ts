/** Lists what of a lab exists on this machine: verifies `down` in tests. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { hostHierarchies, readMounts } from "../host/mounts.js";
import { identify } from "../host/process.js";
import { hasRootLink } from "../node/underlay.js";
import { LABS_ROOT, labPaths } from "../plan/paths.js";
import { PIN_ROOT } from "../plan/pins.js";
import type { LabPlan } from "../plan/plan.js";

/** One line per remaining process, control group, mount, link, pin and file. Empty after `down`. */
export async function remainsOf(plan: LabPlan): Promise<string[]> {
  const folder = labPaths(plan.name).root;
  const paths = [folder, join(PIN_ROOT, plan.name), join(LABS_ROOT, `.index-${plan.index}`)];
  const groups = hostHierarchies().map(({ mount }) => join(mount, plan.cgroup));
  const link = (await hasRootLink(plan.rootLink)) ? [`link ${plan.rootLink}`] : [];
  return [
    ...[...paths, ...groups].filter((path) => existsSync(path)),
    ...readMounts().flatMap(({ target }) => (target.startsWith(folder) ? [`mount ${target}`] : [])),
    ...link,
    ...processesOf(plan, folder),
  ];
}

/** Processes with the lab's folder on their command line or in its control group; zombies do not count. */
function processesOf(plan: LabPlan, folder: string): string[] {
  const found: string[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    if (identify(Number(pid)) === undefined) continue;
    const command = read(`/proc/${pid}/cmdline`).replaceAll("\0", " ");
    const group = read(`/proc/${pid}/cgroup`);
    if (command.includes(`${folder}/`) || group.includes(`/${plan.cgroup}/`)) found.push(`process ${pid} ${command}`);
  }
  return found;
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
