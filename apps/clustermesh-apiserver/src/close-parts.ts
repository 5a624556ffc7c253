/**
 * Closes the parts of the process, one after the other, the newest first.
 *
 * One that throws, or does not end in time, keeps none of the others open: a process that must stop and cannot is neither gone
 * nor started again.
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
