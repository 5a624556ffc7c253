/** Waits until a condition holds: looks at once, then after each notification of a change, or by polling where there is none. */
import { type Clock, MeshError, systemClock } from "@isthmus/model";
import { sleep } from "./sleep.js";
import { nextTurn } from "./turns.js";

/** Returns what is waited for; undefined or false while it is not there. */
export type Look<T> = () => T | undefined | false | Promise<T | undefined | false>;

export interface WaitOptions {
  /** There is no time-out unless given. After it the condition is checked a last time. */
  readonly timeoutMs?: number | undefined;
  /** Ends the wait, which rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Subscribes to what may make the condition true, and returns the function that unsubscribes. With it there is no polling:
   * the condition is checked after changes, at most once per turn of the event loop.
   */
  readonly changes?: (changed: () => void) => () => void;
  /** Time between polls; 50 unless given. */
  readonly everyMs?: number;
  /** The system's unless given. */
  readonly clock?: Pick<Clock, "now" | "delay">;
}

/** Resolves with the first value that is neither undefined nor false; with undefined when there is none in time. */
export async function waitWithin<T>(look: Look<T>, options: WaitOptions): Promise<T | undefined> {
  const { signal, changes, everyMs = 50, clock = systemClock } = options;
  const deadline = clock.now() + (options.timeoutMs ?? Number.POSITIVE_INFINITY);
  const pauseMs = changes === undefined ? everyMs : Number.POSITIVE_INFINITY;
  let pause = new AbortController();
  const endPause = () => pause.abort();
  const unsubscribe = changes?.(endPause);
  signal?.addEventListener("abort", endPause, { once: true });
  try {
    for (;;) {
      signal?.throwIfAborted();
      pause = new AbortController();
      const value = await look();
      if (value !== undefined && value !== false) return value;
      const leftMs = deadline - clock.now();
      if (leftMs <= 0) return undefined;
      await rest(Math.min(leftMs, pauseMs), pause.signal, clock);
      if (pause.signal.aborted) await nextTurn();
    }
  } finally {
    unsubscribe?.();
    signal?.removeEventListener("abort", endPause);
  }
}

/** `waitWithin` that rejects with `TIMEOUT` and a sentence with `what` when there is no value in time. */
export async function waitFor<T>(
  what: string,
  look: Look<T>,
  options: WaitOptions & {
    /** Why the condition does not hold yet, for the sentence of the time-out. */
    readonly reason?: (() => string) | undefined;
  },
): Promise<T> {
  const value = await waitWithin(look, options);
  if (value !== undefined) return value;
  const sentence = `Timed out after ${(options.timeoutMs ?? 0) / 1000} s waiting for ${what}`;
  const reason = options.reason?.() ?? "";
  throw new MeshError({ code: "TIMEOUT" }, reason === "" ? sentence : `${sentence}: ${reason}`);
}

/** Resolves after `ms`, which may be infinite, or as soon as the signal is aborted. */
function rest(ms: number, signal: AbortSignal, clock: Pick<Clock, "delay">): Promise<void> {
  if (Number.isFinite(ms)) return sleep(clock, ms, signal);
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
