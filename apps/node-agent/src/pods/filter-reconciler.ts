/** Keeps rp_filter of the pods' devices strict and reports when it cannot: at the start, and when a setting changed. */
import type { RouteEvent } from "@isthmus/bpf";
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { createPassLoop } from "../network/pass-loop.js";
import type { Attachments } from "./attachments.js";
import { filterProblem, setAllStrict } from "./source-filter.js";

export interface FilterReconcilerModules {
  /** Gets each new problem. */
  readonly log: Logger;
  /** Times the retries of a pass that failed. */
  readonly clock: Clock;
  /** Ends the passes. */
  readonly signal: AbortSignal;
  /** The pods whose devices are set. */
  readonly attachments: Pick<Attachments, "list">;
  /** Called with the problem, or undefined, after every pass. */
  readonly report: (problem: string | undefined) => void;
}

export interface FilterReconciler {
  /** Sets and checks the devices of all pods; resolves when no pass runs or is wanted. Never rejects. */
  trigger(): Promise<void>;
  /** True when a setting may have changed. */
  onEvents(events: readonly RouteEvent[]): boolean;
}

/** Checks nothing before the first `trigger` or event. */
export function createFilterReconciler({
  log,
  clock,
  signal,
  attachments,
  report,
}: FilterReconcilerModules): FilterReconciler {
  let reported: string | undefined;
  const loop = createPassLoop({
    clock,
    signal,
    async pass() {
      const problem = filterProblem(await setAllStrict(attachments.list().map(({ hostDevice }) => hostDevice)));
      if (problem !== reported && problem !== undefined) log.warn(problem);
      reported = problem;
      report(problem);
      return undefined;
    },
    failed: (reason) => log.warn("Cannot read source address filters, retrying", { reason }),
  });
  return {
    trigger: loop.trigger,
    onEvents(events) {
      const concerned = events.some(({ kind }) => kind === "setting" || kind === "lost");
      if (concerned) void loop.trigger();
      return concerned;
    },
  };
}
