/** A value that is not known at first; `get` waits a limited time for it. */
export interface Deferred<T> {
  readonly current: T | undefined;
  set(value: T): void;
  /** Resolves as soon as there is a value, or with undefined after `waitMs`. */
  get(waitMs: number): Promise<T | undefined>;
}

export function createDeferred<T>(): Deferred<T> {
  const waiting = new Set<() => void>();
  let current: T | undefined;
  return {
    get current() {
      return current;
    },
    set(value) {
      current = value;
      for (const wake of [...waiting]) wake();
    },
    async get(waitMs) {
      if (current !== undefined) return current;
      await new Promise<void>((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, waitMs);
        waiting.add(wake);
      });
      return current;
    },
  };
}
