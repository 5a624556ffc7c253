/** How times spread. */
import { percentile } from "../datapath/stats.js";

/** Milliseconds. */
export interface Spread {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export function spread(times: readonly number[]): Spread {
  return { p50: percentile(times, 50), p99: percentile(times, 99), max: Math.max(...times) };
}
