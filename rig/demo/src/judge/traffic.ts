/** Counts the client's samples in a window of time. Pure. */
import type { Stall } from "../samples/log.js";
import { type Mono, OUTCOMES, type Outcome, type Sample } from "../samples/sample.js";

/** `from` inclusive, `to` exclusive; a request belongs to the window in which it was due. */
export interface Window {
  readonly from: Mono;
  readonly to: Mono;
}

export interface Traffic {
  /** Requests a second that the client was started with. */
  readonly rate: number;
  /** In the order they were due. */
  readonly samples: readonly Sample[];
  /** When the client did not run, 50 ms or more each time. */
  readonly stalls: readonly Stall[];
}

export type Loss = Exclude<Outcome, "ok">;

export interface Counts {
  readonly sent: number;
  /** rate × duration */
  readonly expected: number;
  readonly ok: number;
  readonly lost: Readonly<Record<Loss, number>>;
  /** Longest time without any answer, including the window's edges. */
  readonly longestGapMs: number;
  /** The fraction of the answered requests that each cluster answered: 0 to 1. */
  readonly share: Readonly<Record<string, number>>;
}

export function within(traffic: Traffic, window: Window): readonly Sample[] {
  return traffic.samples.filter((sample) => sample.due >= window.from && sample.due < window.to);
}

export function count(traffic: Traffic, window: Window, clusters: readonly string[]): Counts {
  const samples = within(traffic, window);
  const answered = samples.filter((sample) => sample.outcome === "ok");
  const lost = Object.fromEntries(
    OUTCOMES.filter((outcome): outcome is Loss => outcome !== "ok").map((outcome) => [
      outcome,
      samples.filter((sample) => sample.outcome === outcome).length,
    ]),
  ) as Record<Loss, number>;
  const share = Object.fromEntries(
    clusters.map((cluster) => {
      const mine = answered.filter((sample) => sample.cluster === cluster).length;
      return [cluster, answered.length === 0 ? 0 : round(mine / answered.length, 4)];
    }),
  );
  return {
    sent: samples.length,
    expected: Math.round((traffic.rate * (window.to - window.from)) / 1000),
    ok: answered.length,
    lost,
    longestGapMs: longestGap(answered, window),
    share,
  };
}

function longestGap(answered: readonly Sample[], window: Window): number {
  const times = answered.map((sample) => sample.end).sort((a, b) => a - b);
  let last = window.from;
  let longest = 0;
  for (const time of [...times, window.to]) {
    longest = Math.max(longest, time - last);
    last = Math.max(last, time);
  }
  return round(longest, 1);
}

/** The longest time in ms from when a connect was due until it was established; null when none was. */
export function slowestConnect(traffic: Traffic, window: Window): number | null {
  const times = within(traffic, window).flatMap(({ connected, due }) => (connected === null ? [] : [connected - due]));
  return times.length === 0 ? null : round(Math.max(...times), 1);
}

/** When the first of the servers that answer in this window, and that were not ready before it, was ready; null: there is none. */
export function readyAgain(traffic: Traffic, window: Window, clusters: readonly string[]): Mono | null {
  const times = within(traffic, window).flatMap(({ cluster, readyAt }) =>
    clusters.includes(cluster) && readyAt !== null && readyAt >= window.from ? [readyAt] : [],
  );
  return times.length === 0 ? null : Math.min(...times);
}

/** The number of requests that were due in the window but have no sample. */
export function unaccounted(traffic: Traffic, window: Window): number {
  const [any] = traffic.samples;
  if (any === undefined) return 0;
  const everyMs = 1000 / traffic.rate;
  const origin = any.due - any.number * everyMs;
  // The number of the first request that is due at or after a time; 1e-6 allows for rounding of floats.
  const numberAt = (time: Mono) => Math.max(0, Math.ceil((time - origin) / everyMs - 1e-6));
  const [from, to] = [numberAt(window.from), numberAt(window.to)];
  const known = traffic.samples.map(({ number }) => number).filter((number) => number >= from && number < to);
  return to - from - new Set(known).size;
}

/** The first answer of a cluster to a request due at or after `since`. */
export function firstAnswer(traffic: Traffic, cluster: string, since: Mono): Sample | undefined {
  let first: Sample | undefined;
  for (const sample of traffic.samples) {
    if (sample.due < since || sample.outcome !== "ok" || sample.cluster !== cluster) continue;
    if (first === undefined || sample.end < first.end) first = sample;
  }
  return first;
}

export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
