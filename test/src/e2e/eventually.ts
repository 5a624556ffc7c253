/** Waits for a condition by polling, with a deadline; the error contains the last answer. */
import { systemClock } from "@isthmus/model";

/** Resolves with the first answer for which `holds` is true; rejects with `what` and the last answer, or its error, after `timeoutMs`. */
export async function eventually<T>(
  what: string,
  look: () => T | Promise<T>,
  holds: (answer: T) => boolean,
  timeoutMs = 20_000,
): Promise<T> {
  const deadline = systemClock.now() + timeoutMs;
  for (;;) {
    let seen: string;
    try {
      const answer = await look();
      if (holds(answer)) return answer;
      seen = typeof answer === "string" ? answer : JSON.stringify(answer);
    } catch (error) {
      seen = String(error);
    }
    if (systemClock.now() > deadline)
      throw new Error(`Timed out after ${timeoutMs / 1000} s waiting for ${what}; last seen: ${seen.slice(0, 2000)}`);
    await systemClock.delay(100);
  }
}
