/** Waits for a condition by polling. */
import { delay } from "../drive/delay.js";
import { monoNow } from "../samples/sample.js";

/** Polls five times a second; throws an error with `what` when the condition does not hold in time. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  withinMs: number,
  signal: AbortSignal,
): Promise<void> {
  const end = monoNow() + withinMs;
  while (!(await holds())) {
    if (monoNow() > end) throw new Error(`Cannot go on: waited ${withinMs / 1000} s for ${what}`);
    await delay(200, signal);
  }
}
