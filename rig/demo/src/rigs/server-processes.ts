/** Finds the demo program's processes in given pods by their control groups, in the root pid namespace. */
import { readdir, readFile } from "node:fs/promises";

/** Pids of `/demo …` in any of the pods (by uid). */
export async function demoProcesses(podUids: readonly string[]): Promise<readonly number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map(async (pid) => ((await isOurs(pid, podUids)) ? [Number(pid)] : [])));
  return found.flat();
}

async function isOurs(pid: string, podUids: readonly string[]): Promise<boolean> {
  try {
    const command = await readFile(`/proc/${pid}/cmdline`, "latin1");
    if (!command.startsWith("/demo\0")) return false;
    const groups = await readFile(`/proc/${pid}/cgroup`, "latin1");
    return podUids.some((uid) => groups.includes(`pod${uid}`));
  } catch {
    return false; // the process exited meanwhile
  }
}
