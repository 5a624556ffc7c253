/** Suspends processes until `end`, or until this process ends, even by SIGKILL: a shell in its own session resumes them then. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Suspension } from "../drive/world.js";

/** Waits for the end of its stdin. */
const RESUME = 'read -r _; kill -CONT "$@"';

export async function suspendProcesses(pids: readonly number[]): Promise<Suspension> {
  const argv = ["-c", RESUME, "sh", ...pids.map(String)];
  const guard = spawn("sh", argv, { detached: true, stdio: ["pipe", "ignore", "ignore"] });
  const ended = once(guard, "exit");
  await once(guard, "spawn");
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  const end = async () => {
    guard.stdin.end();
    await ended;
  };
  return { count: pids.length, end };
}
