/** Adds a process to the lab's table and starts it. Rejects when the first try fails, but the start is still retried. */
import type { LabContext } from "./context.js";
import { createManagedProcess } from "./managed-process.js";
import type { ProcessSpec } from "./spec.js";

export async function start(context: LabContext, spec: ProcessSpec): Promise<void> {
  const managed = createManagedProcess(spec, context.modules);
  context.processes.add(managed);
  await managed.start();
}
