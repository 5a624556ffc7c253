/** Waits for a condition, looking again every few milliseconds; rejects with the sentence after `ms`. */
export async function until(sentence: string, condition: () => boolean | Promise<boolean>, ms = 15_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Not within ${ms} ms: ${sentence}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
