/** Long work in pieces, with turns of the event loop between them, so that streams and timers go on meanwhile. */

/** Work in slices: yields where other work may run, returns the result. */
export type Slices<T> = Generator<void, T>;

/** Resolves in the next turn of the event loop, after the I/O that is ready now. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Runs the work slice by slice, with a turn of the event loop between slices; resolves with its result. */
export async function inTurns<T>(work: Slices<T>): Promise<T> {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    await nextTurn();
  }
}
