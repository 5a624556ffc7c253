/**
 * Who waits for a list, and what a list says to whom (pure).
 *
 * A list is evidence only for those who came before it was asked for. A floor is *reached* whenever the position is there; it
 * is *beyond* Kubernetes when a quorum list that was asked for after its waiter came lies below it.
 */
export type Outcome = "reached" | "beyond";

/** A moment in the order of arrivals. */
export type Moment = number;

export interface Waiters {
  readonly size: number;
  /** Resolves by `settle`. `floor` undefined: a quorum list, whatever it gives. */
  wait(floor: bigint | undefined): Promise<Outcome>;
  /** The floor that a list must reach to serve everyone; undefined when nobody waits or someone wants a quorum list. */
  floor(): bigint | undefined;
  now(): Moment;
  /** A collection is known at `position`. `quorum`: when its list was asked for; undefined when it was no quorum list. */
  settle(position: bigint, quorum: Moment | undefined): void;
}

interface Waiter {
  readonly floor: bigint | undefined;
  readonly since: Moment;
  readonly done: (outcome: Outcome) => void;
}

export function createWaiters(): Waiters {
  let waiting: Waiter[] = [];
  let moment: Moment = 0;

  function outcome({ floor, since }: Waiter, position: bigint, quorum: Moment | undefined): Outcome | undefined {
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
      const left: Waiter[] = [];
      const told: (() => void)[] = [];
      for (const waiter of waiting) {
        const is = outcome(waiter, position, quorum);
        if (is === undefined) left.push(waiter);
        else told.push(() => waiter.done(is));
      }
      waiting = left;
      for (const tell of told) tell();
    },
  };
}
