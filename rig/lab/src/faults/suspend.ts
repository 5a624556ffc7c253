/** Suspends processes of a lab with SIGSTOP and resumes them. */
import { isAlive, isStopped, type ProcessIdentity, parentOf, signalProcess } from "../host/process.js";
import { waitFor } from "../host/wait.js";
import { labError } from "../plan/errors.js";

/** Resolves when all of them are stopped. Throws `STEP_FAILED` when one has exited. */
export async function suspend(processes: readonly ProcessIdentity[]): Promise<void> {
  const signalled = processes.map((identity) => signalProcess(identity, "SIGSTOP"));
  const ended = processes[signalled.indexOf(false)];
  if (ended !== undefined) throw labError("STEP_FAILED", `Cannot suspend process ${ended.pid}: it has ended meanwhile`);
  const areStopped = () => processes.every(({ pid }) => isStopped(pid));
  await waitFor("the processes to stop", areStopped, { timeoutMs: 5_000, everyMs: 5 });
}

/** Processes that have ended meanwhile are left out. */
export function resume(processes: readonly ProcessIdentity[]): void {
  for (const identity of processes.filter(isAlive)) {
    resumeWrapper(identity.pid);
    signalProcess(identity, "SIGCONT");
  }
}

/** `nsenter --pid` suspends itself when its program is suspended; it is the program's parent. */
function resumeWrapper(pid: number): void {
  const parent = parentOf(pid);
  if (parent?.command === "nsenter") signalProcess(parent.identity, "SIGCONT");
}
