/**
 * Closes the parts of the process one after the other, the newest first.
 *
 * A part that throws or does not close in time does not prevent the others from closing: a process that hangs while it stops
 * would not be restarted.
 */
import type { Logger } from "@isthmus/observe";

export type Close = () => Promise<void> | void;

const LIMIT_MS = 5000;

export async function closeParts(parts: Iterable<Close>, log: Logger, limitMs = LIMIT_MS): Promise<void> {
  for (const close of parts) {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`it did not end within ${limitMs} ms`)), limitMs);
    });
    try {
      await Promise.race([close(), limit]);
    } catch (error) {
      log.warn("A part did not close cleanly", { error });
    } finally {
      clearTimeout(timer);
    }
  }
}
