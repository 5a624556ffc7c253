/** While a lab comes up, reports a process that keeps exiting as the reason of the failure, long before a time-out. */
import { labError } from "../plan/errors.js";
import type { ProcessTable } from "./process-table.js";

/** Exits after a longer run do not count, such as those of kube-controller-manager without an API server: the time-out applies. */
const MAX_EARLY_DEATHS = 5;

export function watchForCrashes(processes: ProcessTable): { readonly signal: AbortSignal; stop(): void } {
  const controller = new AbortController();
  const timer = setInterval(() => {
    const failing = processes.all().find(({ earlyDeaths }) => earlyDeaths >= MAX_EARLY_DEATHS);
    if (failing === undefined) return;
    const state = failing.state();
    const reason = state.status === "Waiting" ? `: ${state.reason}` : "";
    controller.abort(labError("STEP_FAILED", `"${failing.id}" ended ${failing.restarts} times${reason}`));
  }, 200);
  return { signal: controller.signal, stop: () => clearInterval(timer) };
}
