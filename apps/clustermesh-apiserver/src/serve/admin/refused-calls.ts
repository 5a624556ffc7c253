/**
 * Logs and counts refused admin calls. Clients must not fill the log: each pair of method and status has one line a minute,
 * with the number of calls (`unlogged`) that were not logged since the previous line. The counter has all of them.
 */
import { status } from "@grpc/grpc-js";
import type { Clock } from "@isthmus/model";
import type { Logger, Metrics } from "@isthmus/observe";
import type { AdminError } from "./admin-error.js";

const EVERY_MS = 60_000;

export interface RefusedCallsModules {
  /** Gets the lines, as warnings. */
  readonly log: Logger;
  /** For the rate of lines. */
  readonly clock: Clock;
  /** Absent: calls are only logged. */
  readonly metrics?: Metrics | undefined;
}

interface LogState {
  readonly loggedAt: number;
  /** Calls since then, which were not logged. */
  readonly unlogged: number;
}

/** Returns the function that records one refused call; `method`: path of the gRPC method. */
export function createRefusedCalls({
  log,
  clock,
  metrics,
}: RefusedCallsModules): (method: string, error: AdminError) => void {
  const refused = metrics?.counter("mesh_admin_refused_total", "Calls of the admin API that were refused", ["status"]);
  /** By method and status. Methods are those of this API and statuses are few, so it stays small. */
  const states = new Map<string, LogState>();
  return (method, error) => {
    const name = status[error.data.status];
    refused?.add({ status: name });
    const kind = `${method} ${name}`;
    const last = states.get(kind);
    if (last !== undefined && clock.now() - last.loggedAt < EVERY_MS) {
      states.set(kind, { ...last, unlogged: last.unlogged + 1 });
      return;
    }
    states.set(kind, { loggedAt: clock.now(), unlogged: 0 });
    log.warn("Admin call refused", { method, error, unlogged: last?.unlogged ?? 0 });
  };
}
