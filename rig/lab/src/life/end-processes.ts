/** Ends every process of a control group, in any hierarchy. */
import { GUARD_UNIT } from "../faults/start-guard.js";
import { pidsBelow } from "../host/cgroups.js";
import type { CgroupHierarchy } from "../host/mounts.js";
import { describeProcess, identify, isAlive, type ProcessIdentity } from "../host/process.js";
import { waitFor } from "../host/wait.js";

const TIMEOUT_MS = 30_000;
const GRACE_MS = 3_000;

/**
 * The guards of faults are killed first: what they would undo is about to go. A running supervisor (`<group>/supervisor`) ends and
 * reaps its own children, so that none of them waits to be reaped by pid 1. Then, or without a supervisor, SIGKILL is repeated
 * until none is left, since a killed process may have just started another. A process leaves its group before it is reaped, so
 * every process that was ever seen is waited for. `TIMEOUT` names those that do not exit.
 */
export async function endProcesses(hierarchies: readonly CgroupHierarchy[], group: string): Promise<void> {
  const identities = new Map<number, ProcessIdentity>();
  const look = () => {
    const pids = pidsBelow(hierarchies, group);
    for (const identity of [...pids].map(identify)) if (identity !== undefined) identities.set(identity.pid, identity);
    return pids;
  };
  const alive = () => [...identities.values()].filter(isAlive);
  const isEmpty = () => look().size === 0 && alive().length === 0;
  look();
  signalAll(pidsBelow(hierarchies, `${group}/${GUARD_UNIT}`), "SIGKILL");
  const supervisor = pidsBelow(hierarchies, `${group}/supervisor`);
  if (supervisor.size > 0) {
    signalAll(supervisor, "SIGTERM");
    await waitFor("the supervisor to end", isEmpty, { timeoutMs: GRACE_MS, everyMs: 10 }).catch(() => undefined);
  }
  const killAll = () => {
    signalAll(look(), "SIGKILL");
    return isEmpty();
  };
  const reason = () => alive().map(describe).join("; ");
  await waitFor(`the processes in "${group}" to end`, killAll, { timeoutMs: TIMEOUT_MS, everyMs: 20, reason });
}

function describe({ pid }: ProcessIdentity): string {
  return describeProcess(pid);
}

function signalAll(pids: ReadonlySet<number>, signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // The process exited meanwhile.
    }
  }
}
