/** A rate with a burst: `capacity` at once, `perSecond` in the long run. */
import type { Clock } from "@isthmus/model";

export interface Rate {
  /** The most that can be taken at once, in the unit of `amount`: calls, bytes. */
  readonly capacity: number;
  /** What is given back in a second, in the same unit. */
  readonly perSecond: number;
}

export interface TokenBucket {
  /** False when less than `amount` is left; nothing is taken then. */
  take(rate: Rate, amount?: number): boolean;
}

/** The rate is passed with each call because it may change, for example with the number of served clusters. */
export function createTokenBucket(clock: Clock): TokenBucket {
  let used = 0;
  let at = clock.now();
  const refill = ({ perSecond }: Rate) => {
    const now = clock.now();
    used = Math.max(0, used - ((now - at) / 1000) * perSecond);
    at = now;
  };
  return {
    take(rate, amount = 1) {
      refill(rate);
      if (used + amount > rate.capacity) return false;
      used += amount;
      return true;
    },
  };
}
