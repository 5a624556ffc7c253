/**
 * Counters with what was added to each in the last minute.
 *
 * They are read every ten seconds. The last minute begins at the newest reading that is a minute old, or at the start.
 */
import type { Clock } from "@isthmus/model";
import { sleep } from "@isthmus/runtime";

type Counters = ReadonlyMap<string, number>;

export interface RecentCounters {
  /** Each counter by name. */
  read(): ReadonlyMap<string, RecentCounter>;
}

export interface RecentCounter {
  /** Its value now. */
  readonly total: number;
  /** The part of `total` of the last 60 to 70 s, or since the start. */
  readonly lastMinute: number;
}

export interface RecentCountersModules {
  /** The counters now, which only grow. */
  readonly read: () => Counters;
  /** Times the readings. */
  readonly clock: Clock;
  /** Ends the readings. */
  readonly signal: AbortSignal;
}

const READ_MS = 10_000;
const MINUTE_MS = 60_000;

/** Reads once at once. */
export function createRecentCounters({ read, clock, signal }: RecentCountersModules): RecentCounters {
  /** The oldest first; the second one is less than a minute old. */
  const readings = [{ atMs: clock.now(), counters: read() }];

  async function readAgain(): Promise<void> {
    for (;;) {
      await sleep(clock, READ_MS, signal);
      if (signal.aborted) return;
      readings.push({ atMs: clock.now(), counters: read() });
      while (isMinuteOld(readings[1]?.atMs)) readings.shift();
    }
  }

  function isMinuteOld(atMs = Number.POSITIVE_INFINITY): boolean {
    return clock.now() - atMs >= MINUTE_MS;
  }

  void readAgain();
  return {
    read() {
      const before = readings[0]?.counters;
      const recent = (name: string, total: number) => ({ total, lastMinute: total - (before?.get(name) ?? 0) });
      return new Map([...read()].map(([name, total]) => [name, recent(name, total)]));
    },
  };
}
