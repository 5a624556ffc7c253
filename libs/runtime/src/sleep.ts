import type { Clock } from "@isthmus/model";

/** Resolves after `ms`, or as soon as the signal is aborted: the caller looks at the signal afterwards. */
export async function sleep(clock: Pick<Clock, "delay">, ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await clock.delay(ms, signal);
  } catch (error) {
    if (signal?.aborted !== true) throw error;
  }
}
