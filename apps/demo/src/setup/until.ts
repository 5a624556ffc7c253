/** Waits for a condition of the world, by asking. */
import { delay } from "../drive/delay.js";
import { monoNow } from "../samples/sample.js";

/** Asks five times a second; throws with `what` when it does not come about in time. */
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
