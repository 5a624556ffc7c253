import { waitFor } from "@isthmus/runtime";

/**
 * Polls a condition every few milliseconds; rejects with an error that names it when it is still false after `limitMs`.
 *
 * The limit only ends tests that would hang: it is far above what a slow machine needs.
 */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 30_000,
): Promise<void> {
  await waitFor(`"${what}"`, condition, { timeoutMs: limitMs, everyMs: 5 });
}
