/** Work on one key happens one after the other, on different keys at the same time. */
export interface KeyLock {
  /** Keys that are worked on or waited for. */
  readonly busy: ReadonlySet<string>;
  run<T>(key: string, work: () => Promise<T>): Promise<T>;
}

export function createKeyLock(): KeyLock {
  const tails = new Map<string, Promise<unknown>>();
  const busy = new Set<string>();
  return {
    busy,
    run(key, work) {
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
    },
  };
}
