/** A lock per key: work on the same key runs one after the other, work on different keys at the same time. */
export interface KeyLock {
  /** Keys with running or waiting work. */
  readonly busy: ReadonlySet<string>;
  /** Runs the work after all that was given before for this key, failed or not; settles as it does. */
  run<T>(key: string, work: () => Promise<T>): Promise<T>;
  /** Runs the work while no other work on any of these keys runs. */
  runAll(keys: readonly string[], work: () => Promise<void>): Promise<void>;
}

/** No key is busy; one is forgotten when its last work ends. */
export function createKeyLock(): KeyLock {
  const tails = new Map<string, Promise<unknown>>();
  const busy = new Set<string>();

  function run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const result = (tails.get(key) ?? Promise.resolve()).then(work);
    const tail = result
      .catch(() => undefined)
      .then(() => {
        if (tails.get(key) !== tail) return;
        tails.delete(key);
        busy.delete(key);
      });
    tails.set(key, tail);
    busy.add(key);
    return result;
  }

  async function runAll(keys: readonly string[], work: () => Promise<void>): Promise<void> {
    let release = (): void => undefined;
    const done = new Promise<void>((resolve) => {
      release = resolve;
    });
    const locks = keys.map(
      (key) =>
        new Promise<void>((granted) => {
          void run(key, () => {
            granted();
            return done;
          });
        }),
    );
    try {
      await Promise.all(locks);
      await work();
    } finally {
      release();
    }
  }

  return { busy, run, runAll };
}
