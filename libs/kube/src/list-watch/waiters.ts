/**
 * Calls that wait for a list, and the outcome of a list for each of them (pure).
 *
 * A list is evidence only for waiters that were registered before it was requested. A floor is *reached* whenever the
 * position is at or above it; it is *beyond* Kubernetes when a quorum list that was requested after its waiter was
 * registered is below it.
 */
export type Outcome = "reached" | "beyond";

/** A point in the order in which waiters are registered. */
export type RegistrationIndex = number;

export interface Waiters {
  /** Calls of `wait` that are not resolved. */
  readonly size: number;
  /** Resolved by `settle`. `floor` undefined: waits for a quorum list, whatever its version. */
  wait(floor: bigint | undefined): Promise<Outcome>;
  /** The version that satisfies every waiter; undefined when there is none or one of them wants a quorum list. */
  floor(): bigint | undefined;
  /** The index of the latest `wait`: to be read when a quorum list is requested, for `settle`. */
  now(): RegistrationIndex;
  /** Reports a collection at `position`. `quorum`: when its quorum list was requested; undefined for any other list. */
  settle(position: bigint, quorum: RegistrationIndex | undefined): void;
}

interface Waiter {
  readonly floor: bigint | undefined;
  readonly since: RegistrationIndex;
  readonly done: (outcome: Outcome) => void;
}

/** Begins without waiters: `floor()` is undefined. */
export function createWaiters(): Waiters {
  let waiting: Waiter[] = [];
  let moment: RegistrationIndex = 0;

  function outcome(
    { floor, since }: Waiter,
    position: bigint,
    quorum: RegistrationIndex | undefined,
  ): Outcome | undefined {
    if (floor !== undefined && floor <= position) return "reached";
    if (quorum === undefined || since > quorum) return undefined;
    return floor === undefined ? "reached" : "beyond";
  }

  return {
    get size() {
      return waiting.length;
    },
    wait: (floor) => new Promise((done) => waiting.push({ floor, since: ++moment, done })),
    floor() {
      let max: bigint | undefined;
      for (const { floor } of waiting) {
        if (floor === undefined) return undefined;
        if (max === undefined || floor > max) max = floor;
      }
      return max;
    },
    now: () => moment,
    settle(position, quorum) {
      const remaining: Waiter[] = [];
      const resolved: (() => void)[] = [];
      for (const waiter of waiting) {
        const is = outcome(waiter, position, quorum);
        if (is === undefined) remaining.push(waiter);
        else resolved.push(() => waiter.done(is));
      }
      waiting = remaining;
      for (const resolve of resolved) resolve();
    },
  };
}
