/**
 * `nsenter --pid` waits for its program, and suspends itself when that is suspended. So it may miss the program's end, and we
 * with it: a wrapper that outlives its program is ended.
 */
import type { ChildProcess } from "node:child_process";
import { isAlive, type ProcessIdentity } from "../host/process.js";

const EVERY_MS = 250;

/** Until the returned function is called. */
export function endWrapper(wrapper: ChildProcess, program: ProcessIdentity): () => void {
  let deadBefore = false;
  const timer = setInterval(() => {
    const dead = !isAlive(program);
    // Seen twice: one that is about to pass the exit code on has had the time.
    if (dead && deadBefore) wrapper.kill("SIGKILL");
    deadBefore = dead;
  }, EVERY_MS);
  return () => clearInterval(timer);
}
