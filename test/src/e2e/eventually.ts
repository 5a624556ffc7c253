/** Waits for an answer by polling; the error contains the last answer. */
import { waitFor } from "@isthmus/runtime";

/** Resolves with the first answer for which `holds` is true; rejects with `what` and the last answer, or its error, after `timeoutMs`. */
export async function eventually<T>(
  what: string,
  look: () => T | Promise<T>,
  holds: (answer: T) => boolean,
  timeoutMs = 20_000,
): Promise<T> {
  let seen = "";
  async function ask(): Promise<{ readonly answer: T } | undefined> {
    try {
      const answer = await look();
      if (holds(answer)) return { answer };
      seen = typeof answer === "string" ? answer : JSON.stringify(answer);
    } catch (error) {
      seen = String(error);
    }
    return undefined;
  }
  const reason = () => `last seen: ${seen.slice(0, 2000)}`;
  return (await waitFor(what, ask, { timeoutMs, everyMs: 100, reason })).answer;
}
