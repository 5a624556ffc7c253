/** A process that only keeps a network namespace alive. */
import { runsProgram } from "../host/process.js";
import { waitFor } from "../host/wait.js";
import type { LabContext } from "../supervise/context.js";
import type { ProcessSpec } from "../supervise/spec.js";

/** `setUp`: called with the process's pid when the namespace exists. */
export function networkHolder(
  { inputs }: LabContext,
  setUp: (pid: number) => Promise<void>,
): Pick<ProcessSpec, "command" | "started" | "graceMs"> {
  return {
    command: () => ["unshare", "--net", "--", inputs.reaper],
    // The namespace exists once the command has executed the reaper.
    started: async (pid) => {
      const entered = () => runsProgram(pid, inputs.reaper);
      await waitFor("a new network namespace", entered, { timeoutMs: 5_000, everyMs: 5 });
      await setUp(pid);
    },
    graceMs: 0,
  };
}
