/**
 * Writes Events only while this instance holds the Lease. Without the Lease it keeps them for a while and writes them when it
 * becomes the holder: the previous holder may have died before it wrote them. A repeated Event only increases a count.
 */
import type { EventRecorder, ReportedEvent } from "@isthmus/kube";
import type { Clock } from "@isthmus/model";
import type { Leadership } from "./leadership.js";
import { LEASE_MS } from "./lease.js";

/** Longer than it takes to acquire the Lease of a holder that died. */
const KEPT_MS = 2 * LEASE_MS;
/** As many as the recorder's own queue holds. */
const MAX_KEPT = 1000;

/** Without the Lease it keeps at most 1,000 Events, each for 30 s; `settled` does not wait for them. */
export function createHolderEvents(
  recorder: EventRecorder,
  { leadership, clock }: { readonly leadership: Leadership; readonly clock: Clock },
): EventRecorder {
  const kept: { readonly at: number; readonly event: ReportedEvent }[] = [];

  function dropOld(): void {
    const oldest = clock.now() - KEPT_MS;
    while (kept.length > 0 && (kept.length > MAX_KEPT || (kept[0]?.at ?? 0) < oldest)) kept.shift();
  }

  leadership.onChange(() => {
    if (!leadership.writes) return;
    dropOld();
    for (const { event } of kept.splice(0)) recorder.report(event);
  });
  return {
    report(event) {
      if (leadership.writes) return recorder.report(event);
      kept.push({ at: clock.now(), event });
      dropOld();
    },
    settled: () => recorder.settled(),
  };
}
