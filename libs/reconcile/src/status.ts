/**
 * The status of every object that is reconciled: Pending, Done, or Error with its reason and the time of the next
 * retry.
 *
 * Failed objects are retried with back-off, independently of the others. Callers pass the time (monotonic
 * milliseconds).
 */
import { backoffMs } from "@isthmus/runtime";

export type Status =
  | { readonly state: "Pending"; readonly since: number }
  | { readonly state: "Done"; readonly since: number }
  | {
      readonly state: "Error";
      readonly since: number;
      readonly error: Error;
      /** Failures in a row. */
      readonly failures: number;
      /** Time of the next retry. */
      readonly retryAt: number;
    };

type Settled = Exclude<Status, { state: "Error" }>;

export interface StatusTable {
  /** Undefined for a key of which nothing was reported. */
  get(key: string): Status | undefined;
  /** Any state but Error -> Pending. */
  pending(key: string, now: number): void;
  /** Any state -> Done. */
  done(key: string, now: number): void;
  /** Any state -> Error; the wait doubles with each failure in a row. */
  failed(key: string, error: Error, now: number): void;
  /** Any state -> none; a retry that was due is not due any more. */
  forget(key: string): void;
  /** Failed keys that must be retried now. */
  due(now: number): string[];
  /** Time of the next retry; undefined when no key failed. */
  readonly nextDue: number | undefined;
  /**
   * Makes failed keys with a `wanted` error due at once, because its cause may be gone (for example, a full map has
   * room).
   */
  retryNow(now: number, wanted: (error: Error) => boolean): void;
  /** Keys in state Error. */
  readonly errors: ReadonlyMap<string, Error>;
}

export interface StatusOptions {
  /** Wait before the first retry, in milliseconds; it doubles with each further one. */
  readonly minMs: number;
  /** No wait is longer. */
  readonly maxMs: number;
}

/** Without any key; 200 ms and 30 s unless given. */
export function createStatusTable(options: StatusOptions = { minMs: 200, maxMs: 30_000 }): StatusTable {
  const all = new Map<string, Status>();
  const errors = new Map<string, Error>();
  /** The latest status object per state; keys that enter a state at the same time share it. */
  const latest: Record<Settled["state"], Settled> = {
    Pending: { state: "Pending", since: Number.NaN },
    Done: { state: "Done", since: Number.NaN },
  };

  function failuresOf(key: string): number {
    const status = all.get(key);
    return status?.state === "Error" ? status.failures : 0;
  }

  function* failing(): Generator<[string, Extract<Status, { state: "Error" }>]> {
    for (const key of errors.keys()) {
      const status = all.get(key);
      if (status?.state === "Error") yield [key, status];
    }
  }

  function settle(key: string, state: Settled["state"], now: number): void {
    errors.delete(key);
    if (all.get(key)?.state === state) return;
    if (latest[state].since !== now) latest[state] = { state, since: now };
    all.set(key, latest[state]);
  }

  return {
    errors,
    get: (key) => all.get(key),
    pending(key, now) {
      if (!errors.has(key)) settle(key, "Pending", now);
    },
    done: (key, now) => settle(key, "Done", now),
    failed(key, error, now) {
      const failures = failuresOf(key) + 1;
      // The kernel of one node: nobody else retries at the same time.
      const wait = backoffMs(failures - 1, { ...options, jitter: 0 });
      all.set(key, { state: "Error", since: now, error, failures, retryAt: now + wait });
      errors.set(key, error);
    },
    forget(key) {
      all.delete(key);
      errors.delete(key);
    },
    due: (now) => [...failing()].filter(([, status]) => status.retryAt <= now).map(([key]) => key),
    get nextDue() {
      let next: number | undefined;
      for (const [, { retryAt }] of failing()) if (next === undefined || retryAt < next) next = retryAt;
      return next;
    },
    retryNow(now, wanted) {
      for (const [key, status] of failing()) if (wanted(status.error)) all.set(key, { ...status, retryAt: now });
    },
  };
}
