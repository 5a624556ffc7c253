/**
 * Polls a condition every few milliseconds; throws an error that names it when it is still false after `limitMs`.
 *
 * The limit only ends tests that would hang: it is far above what a slow machine needs.
 */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 30_000,
): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`Timed out after ${limitMs} ms waiting until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
