/** Repeats an action until it succeeds, with back-off between the attempts. */
import type { Clock } from "@isthmus/model";
import { type BackoffOptions, createBackoff } from "./backoff.js";

export interface RetryOptions extends BackoffOptions {
  /** Called with what an attempt threw, before the wait. What it throws itself ends the loop. */
  readonly onFailure?: (thrown: unknown) => void;
}

/** Resolves with the result of the first attempt that succeeds. Rejects with the signal's reason once it is aborted. */
export async function retry<T>(
  attempt: () => Promise<T>,
  options: RetryOptions,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<T> {
  const backoff = createBackoff(options);
  for (;;) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (thrown) {
      signal.throwIfAborted();
      options.onFailure?.(thrown);
      await clock.delay(backoff.nextMs(), signal);
    }
  }
}
