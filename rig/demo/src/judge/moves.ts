/** Counts moved connects from readings of a counter that only grows. Pure. */
import type { Mono } from "../samples/sample.js";

/** The node's counter at a time: connects that went to another backend than the first that was chosen. */
export interface MovesReading {
  readonly at: Mono;
  readonly moved: number;
}

/** Between two times, as far as there are readings: from the last one before `from` to the last one before `to`. */
export function movedBetween(readings: readonly MovesReading[], from: Mono, to: Mono): number {
  return movedBefore(readings, to) - movedBefore(readings, from);
}

function movedBefore(readings: readonly MovesReading[], time: Mono): number {
  const last = readings.findLast(({ at }) => at <= time) ?? readings[0];
  return last?.moved ?? 0;
}
