/** Waits for a condition by looking again and again, with a deadline and a name for the error. */
import { systemClock } from "@isthmus/model";
import { labError } from "../plan/errors.js";

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly everyMs?: number;
  readonly signal?: AbortSignal;
  /** What is still in the way, for the sentence when time is up. */
  readonly reason?: () => string;
}

/** Resolves with the first value that is neither undefined nor false. */
export async function waitFor<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  options: WaitOptions,
): Promise<T> {
  const deadline = systemClock.now() + options.timeoutMs;
  for (;;) {
    options.signal?.throwIfAborted();
    const value = await look();
    if (value !== undefined && value !== false) return value;
    if (systemClock.now() > deadline) {
      const reason = options.reason?.() ?? "";
      const seconds = Math.round(options.timeoutMs / 1000);
      throw labError("TIMEOUT", `Waited ${seconds} s in vain for ${what}${reason === "" ? "" : `: ${reason}`}`);
    }
    await systemClock.delay(options.everyMs ?? 50, options.signal);
  }
}
