/**
 * `nsenter --pid` waits for its program, and suspends itself when the program is suspended. So it may miss the program's exit,
 * and the supervisor would miss it too: a wrapper that outlives its program is killed.
 */
import type { ChildProcess } from "node:child_process";
import { isAlive, type ProcessIdentity } from "../host/process.js";

const EVERY_MS = 250;

/** Watches until the returned function is called. */
export function endWrapper(wrapper: ChildProcess, program: ProcessIdentity): () => void {
  let deadBefore = false;
  const timer = setInterval(() => {
    const dead = !isAlive(program);
    // Two checks give a wrapper that is about to pass on the exit code the time to do so.
    if (dead && deadBefore) wrapper.kill("SIGKILL");
    deadBefore = dead;
  }, EVERY_MS);
  return () => clearInterval(timer);
}
