/**
 * Logs messages of a server that were refused or repaired: the first event of a kind at once, later ones less and less
 * often.
 *
 * The metric counts every event. No state is kept per cluster, since a server can send any cluster id.
 */
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { createPace, type Pace } from "@isthmus/runtime";
import type { SourceEvent } from "./source-types.js";

export interface RefusalLog {
  /** Logs the event, or counts it for the next line. `clusterId` as on the wire. */
  refused(clusterId: number, event: SourceEvent): void;
}

const PACE = { minMs: 1000, maxMs: 60_000, quietMs: 120_000 };

/** Lines of one kind of event are up to a minute apart; after two minutes without one the next comes at once. */
export function createRefusalLog({ clock, log }: { readonly clock: Clock; readonly log: Logger }): RefusalLog {
  const paces = new Map<SourceEvent, { readonly pace: Pace; unlogged: number }>();
  return {
    refused(clusterId, event) {
      const entry = paces.get(event) ?? { pace: createPace(PACE), unlogged: 0 };
      paces.set(event, entry);
      const now = clock.now();
      if (entry.pace.waitMs(now) > 0) return void entry.unlogged++;
      entry.pace.recordRun(now);
      log.warn("Message of the apiserver refused or repaired", { clusterId, event, unlogged: entry.unlogged });
      entry.unlogged = 0;
    },
  };
}
