/**
 * Says which admin calls were refused. Whoever is refused must not fill the log: of one kind (method and status) it says one
 * line a minute, with how many there were since the last; the counter has them all.
 */
import { status } from "@grpc/grpc-js";
import type { Clock } from "@isthmus/model";
import type { Logger, Metrics } from "@isthmus/observe";
import type { AdminError } from "./admin-error.js";

const EVERY_MS = 60_000;

export interface RefusedCallsModules {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics?: Metrics | undefined;
}

interface Told {
  readonly at: number;
  readonly untold: number;
}

export function createRefusedCalls({
  log,
  clock,
  metrics,
}: RefusedCallsModules): (method: string, error: AdminError) => void {
  const refused = metrics?.counter("mesh_admin_refused_total", "Calls of the admin API that were refused", ["status"]);
  /** Methods are ours and statuses few: it stays small. */
  const told = new Map<string, Told>();
  return (method, error) => {
    const name = status[error.data.status];
    refused?.add({ status: name });
    const kind = `${method} ${name}`;
    const last = told.get(kind);
    if (last !== undefined && clock.now() - last.at < EVERY_MS) {
      told.set(kind, { ...last, untold: last.untold + 1 });
      return;
    }
    told.set(kind, { at: clock.now(), untold: 0 });
    log.warn("Admin call refused", { method, error, untold: last?.untold ?? 0 });
  };
}
