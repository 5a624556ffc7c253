/**
 * Waits for a condition by asking every few milliseconds; one that does not come true in time names it.
 *
 * The limit is there to end a test that would hang, not to measure: it is far above what a slow machine needs.
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
