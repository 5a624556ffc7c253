/** While a lab comes up: a process that cannot stay alive is the reason, long before a time-out. */
import { labError } from "../plan/errors.js";
import type { ProcessTable } from "./process-table.js";

/** What gives up after a while, as kube-controller-manager does without an API server, is no crash: the time-out decides. */
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
