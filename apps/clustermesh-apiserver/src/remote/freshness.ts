/** Timing of the reader: when a source is stale, and when the next `tick` is due. */
import { BEAT_MS, STALE_MS } from "@isthmus/records";
import { backoffMs } from "@isthmus/runtime";
import { differs } from "./received-records.js";
import type { ReaderState } from "./state.js";

/** True when the head has not changed for more than STALE_MS; false before the first head. `now`: monotonic ms. */
export function isStale(state: ReaderState, now: number): boolean {
  return state.beatAt !== undefined && now - state.beatAt > STALE_MS;
}

/** Milliseconds until the next `tick` in Following: a repair is due, the source becomes stale, or BEAT_MS passed. */
export function wakeMs(state: ReaderState, now: number): number {
  if (state.storeId === undefined) return BEAT_MS;
  if (differs(state)) return Math.max(1, state.pace.waitMs(now));
  const left = state.beatAt === undefined ? BEAT_MS : state.beatAt + STALE_MS + 1 - now;
  return left > 0 ? left : BEAT_MS;
}

/** Exponential from 100 ms to 5 s, with jitter. */
export function retryMs(state: ReaderState): number {
  return backoffMs(state.failures++, { minMs: 100, maxMs: 5_000, random: state.options.random });
}
