/** Clean-up steps that are registered as things are made. */

/** Registers a step; the newest runs first, and promises are awaited. */
export type Later = (step: () => Promise<void> | void) => void;

/** Runs `work`, and then every step that it registered, also when it rejects. */
export async function undoing<T>(work: (later: Later) => Promise<T>): Promise<T> {
  const steps: (() => Promise<void> | void)[] = [];
  try {
    return await work((step) => void steps.unshift(step));
  } finally {
    for (const step of steps) await step();
  }
}
