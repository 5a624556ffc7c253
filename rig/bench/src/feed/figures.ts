/** Computes latencies: pairs the n-th change of a Service with the n-th change of its row. */
import { percentile } from "../datapath/stats.js";
import type { Moment } from "./moment.js";

export interface FeedSeries {
  readonly perSecond: number;
  readonly changes: number;
  /** The number of `changes` without a change of the row. */
  readonly lost: number;
  /** Milliseconds from the feeder to the map. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export function feedSeries(fed: readonly Moment[], seen: readonly Moment[]): FeedSeries {
  const arrivals = byService(seen);
  const times: number[] = [];
  for (const [service, handed] of byService(fed)) {
    const arrived = arrivals.get(service) ?? [];
    if (arrived.length === handed.length) times.push(...handed.map((ms, n) => (arrived[n] ?? Number.NaN) - ms));
  }
  const seconds = ((fed.at(-1)?.ms ?? 0) - (fed[0]?.ms ?? 0)) / 1000;
  return {
    perSecond: fed.length / seconds,
    changes: fed.length,
    lost: fed.length - times.length,
    p50: percentile(times, 50),
    p99: percentile(times, 99),
    max: Math.max(...times),
  };
}

function byService(moments: readonly Moment[]): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (const { service, ms } of moments) found.set(service, [...(found.get(service) ?? []), ms]);
  return found;
}
