/** While a lab comes up: a process that cannot stay alive is the reason, long before a time-out. */
import { labError } from "../plan/errors.js";
import type { ProcessTable } from "./process-table.js";

/** kube-controller-manager may give up once or twice while its API server starts on a busy machine. */
const MAX_RESTARTS = 5;

export function watchForCrashes(processes: ProcessTable): { readonly signal: AbortSignal; stop(): void } {
  const controller = new AbortController();
  const timer = setInterval(() => {
    const failing = processes.all().find(({ restarts }) => restarts >= MAX_RESTARTS);
    if (failing === undefined) return;
    const state = failing.state();
    const reason = state.status === "Waiting" ? `: ${state.reason}` : "";
    controller.abort(labError("STEP_FAILED", `"${failing.id}" ended ${failing.restarts} times${reason}`));
  }, 200);
  return { signal: controller.signal, stop: () => clearInterval(timer) };
}
