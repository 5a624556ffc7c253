/** Keeps the pods' devices strict about source addresses, and says what is not: at the start, and when a setting changed. */
import type { RouteEvent } from "@isthmus/bpf";
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { createPassLoop } from "../pass-loop.js";
import type { Attachments } from "./attachments.js";
import { filterProblem, keepStrict } from "./source-filter.js";

export interface KeepFiltersModules {
  readonly log: Logger;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly attachments: Pick<Attachments, "list">;
  /** What is wrong now, after every look. */
  readonly tell: (problem: string | undefined) => void;
}

export interface FilterKeeper {
  look(): Promise<void>;
  /** True when a setting may have changed. */
  heard(events: readonly RouteEvent[]): boolean;
}

export function keepFilters({ log, clock, signal, attachments, tell }: KeepFiltersModules): FilterKeeper {
  let known: string | undefined;
  const loop = createPassLoop({
    clock,
    signal,
    async pass() {
      const problem = filterProblem(await keepStrict(attachments.list().map(({ hostDevice }) => hostDevice)));
      if (problem !== known && problem !== undefined) log.warn(problem);
      known = problem;
      tell(problem);
      return undefined;
    },
    failed: (reason) => log.warn("Source address filters not read, trying again", { reason }),
  });
  return {
    look: loop.trigger,
    heard(events) {
      const concerned = events.some(({ kind }) => kind === "setting" || kind === "lost");
      if (concerned) void loop.trigger();
      return concerned;
    },
  };
}
