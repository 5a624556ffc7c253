/** A clock that only advances when a test calls `advance`. */
import type { Clock } from "@isthmus/model";
import { nextTurn } from "../turns.js";

export interface FakeClock extends Clock {
  /** Advances by `ms` and resolves the delays that end until then, in order. */
  advance(ms: number): Promise<void>;
  /** Number of pending delays. */
  readonly waiting: number;
}

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
}

/** `startMicros`: initial wall clock time. */
export function createFakeClock(startMicros = 1_700_000_000_000_000): FakeClock {
  let now = 0;
  let sleepers: Sleeper[] = [];
  return {
    now: () => now,
    wallMicros: () => startMicros + now * 1000,
    delay: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) return reject(signal.reason);
        const sleeper: Sleeper = { at: now + ms, wake };
        sleepers.push(sleeper);
        function wake(): void {
          signal?.removeEventListener("abort", stop);
          resolve();
        }
        function stop(): void {
          sleepers = sleepers.filter((other) => other !== sleeper);
          reject(signal?.reason);
        }
        signal?.addEventListener("abort", stop, { once: true });
      }),
    async advance(ms) {
      const end = now + ms;
      for (;;) {
        const next = [...sleepers].sort((a, b) => a.at - b.at)[0];
        if (next === undefined || next.at > end) break;
        now = next.at;
        sleepers = sleepers.filter((other) => other !== next);
        next.wake();
        await settle();
      }
      now = end;
      await settle();
    },
    get waiting() {
      return sleepers.length;
    },
  };
}

/** Lets the callbacks of all promises that can settle now run. */
export function settle(): Promise<void> {
  return nextTurn();
}
