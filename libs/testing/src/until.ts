/**
 * Waits for a condition by asking every few milliseconds; a test that waits in vain says for what.
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
    if (performance.now() > end) throw new Error(`Waited ${limitMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
