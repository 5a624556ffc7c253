/**
 * Reports a source's status when it changed: the first change at once, later ones at a growing interval, since a peer can change
 * its status with every head that it writes.
 *
 *            changed, the pace allows it: report
 *   Reported ───────────────────────────────────┐
 *      │  ▲ ◄───────────────────────────────────┘
 *      │  └──── the pace allows it: report ────┐
 *      └────── changed, too soon ─────► Postponed
 *
 * A postponed change is reported even if it was reverted: a session that read the status in between waits for the next report.
 */
import type { Clock } from "@isthmus/model";
import { createPace } from "@isthmus/runtime";

export interface StatusReports {
  /** Call when the status may have changed. */
  check(): void;
  /** Drops a postponed report. */
  close(): void;
}

/** Pace of reports of a changed status to agents, the MeshPeer and the log. */
const PACE = { minMs: 50, maxMs: 5_000, quietMs: 30_000 };

/** `status`: what is compared. */
export function createStatusReports(
  { clock, status }: { readonly clock: Pick<Clock, "now">; readonly status: () => string },
  report: () => void,
): StatusReports {
  const pace = createPace(PACE);
  let reported = "";
  let postponed: NodeJS.Timeout | undefined;

  function check(): void {
    const now = status();
    if (now === reported && postponed === undefined) return;
    clearTimeout(postponed);
    postponed = undefined;
    const ms = pace.waitMs(clock.now());
    if (ms > 0) {
      postponed = setTimeout(check, ms);
      return;
    }
    pace.recordRun(clock.now());
    reported = now;
    report();
  }

  return { check, close: () => clearTimeout(postponed) };
}
