/**
 * Logs what a server sends that is refused or repaired: each kind of event at once, then ever more rarely while it goes on.
 *
 * The metric counts every one of them. Nothing is kept for each cluster: ids come from the server.
 */
import type { Clock } from "@isthmus/model";
import { createPace, type Logger, type Pace } from "@isthmus/observe";
import type { SourceEvent } from "./source-types.js";

export interface RefusalLog {
  refused(clusterId: number, event: SourceEvent): void;
}

const PACE = { minMs: 1000, maxMs: 60_000, quietMs: 120_000 };

export function createRefusalLog({ clock, log }: { readonly clock: Clock; readonly log: Logger }): RefusalLog {
  const paces = new Map<SourceEvent, { readonly pace: Pace; unsaid: number }>();
  return {
    refused(clusterId, event) {
      const of = paces.get(event) ?? { pace: createPace(PACE), unsaid: 0 };
      paces.set(event, of);
      const now = clock.now();
      if (of.pace.waitMs(now) > 0) return void of.unsaid++;
      of.pace.done(now);
      log.warn("Refused or repaired a message of the apiserver", { clusterId, event, unsaid: of.unsaid });
      of.unsaid = 0;
    },
  };
}
