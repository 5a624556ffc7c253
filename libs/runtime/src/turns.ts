/**
 * Long work in pieces, with turns of the event loop between them, so that streams and timers go on meanwhile.
 *
 * Work is a generator that yields often; a yield costs next to nothing. Whether a turn ends there is decided by the
 * clock, so no turn becomes longer on a slower machine or with larger records.
 */

/** Work in slices: yields where other work may run, returns the result. */
export type Slices<T> = Generator<void, T>;

/** A turn ends at the first yield after this time: with a garbage collection of 15 ms it stays below 20 ms. */
const TURN_MS = 2;

/** What each work gets of a turn that others have used up: one that runs for seconds must not halt the others. */
const LEAST_MS = 0.25;

/** When the present turn began for sliced work; undefined: none was done in it. */
let turnBegan: number | undefined;

/**
 * When work in slices must end the present turn, as `performance.now()`; to be called before the work. Pieces of work that
 * follow one another in a turn share its time.
 */
export function turnEnds(): number {
  if (turnBegan === undefined) {
    turnBegan = performance.now();
    setImmediate(() => {
      turnBegan = undefined;
    });
  }
  return turnBegan + TURN_MS;
}

/** Resolves in the next turn of the event loop, after the I/O that is ready now. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Runs the work, with a turn of the event loop after some milliseconds each; resolves with its result. */
export async function inTurns<T>(work: Slices<T>): Promise<T> {
  for (;;) {
    const ends = Math.max(turnEnds(), performance.now() + LEAST_MS);
    for (;;) {
      const step = work.next();
      if (step.done === true) return step.value;
      if (performance.now() >= ends) break;
    }
    await nextTurn();
  }
}

/** Takes each item, with a yield after every `count`-th. */
export function* inSlices<T>(items: Iterable<T>, count: number, take: (item: T) => void): Slices<void> {
  let left = count;
  for (const item of items) {
    take(item);
    if (--left > 0) continue;
    left = count;
    yield;
  }
}
