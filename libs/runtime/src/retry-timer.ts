/** One timer for what is due next, such as a failed object. */
import type { Clock } from "@isthmus/model";

export interface RetryTimerModules {
  /** Its `now` is what due times are compared with. */
  readonly clock: Clock;
  /** Stops the timer for good. */
  readonly signal: AbortSignal;
  /** Called at the time that was set last, once. */
  readonly run: () => void;
}

/** Returns a function that sets the timer to a time (monotonic milliseconds), or stops it (undefined). */
export function createRetryTimer({ clock, signal, run }: RetryTimerModules): (due: number | undefined) => void {
  let retry: AbortController | undefined;
  const stop = (): void => {
    retry?.abort();
    retry = undefined;
  };
  signal.addEventListener("abort", stop, { once: true });
  return (due) => {
    stop();
    if (due === undefined || signal.aborted) return;
    retry = new AbortController();
    clock.delay(Math.max(1, due - clock.now()), retry.signal).then(run, () => undefined);
  };
}
