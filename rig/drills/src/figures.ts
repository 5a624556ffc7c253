/** What one run of a drill cost, and the median and the worst of many. Pure. */
import { round, type Sample, slowestConnect, type Traffic, unaccounted, type Window, within } from "@isthmus/demo";

export interface Costs {
  readonly requests: number;
  readonly refused: number;
  /** Connects that were not established before the deadline. */
  readonly timedOut: number;
  /** Requests whose connection was established, and that got no answer: reset, or silent until the deadline. */
  readonly ended: number;
  /** Lost for any other reason, or without an account. */
  readonly other: number;
  /** From the time at which it was due; null when none was established. */
  readonly slowestConnectMs: number | null;
  /** The same of a refusal; null when none was refused. */
  readonly slowestRefusalMs: number | null;
}

export const COSTS = [
  "requests",
  "refused",
  "timedOut",
  "ended",
  "other",
  "slowestConnectMs",
  "slowestRefusalMs",
] as const satisfies readonly (keyof Costs)[];

export function costsOf(traffic: Traffic, window: Window): Costs {
  const samples = within(traffic, window);
  const count = (is: (sample: Sample) => boolean) => samples.filter(is).length;
  const refused = count(({ outcome }) => outcome === "refused");
  const timedOut = count(({ outcome, connected }) => outcome === "timeout" && connected === null);
  const ended = count(({ outcome, connected }) => (outcome === "reset" || outcome === "timeout") && connected !== null);
  const lost = count(({ outcome }) => outcome !== "ok");
  const refusals = refusalTimes(samples);
  return {
    requests: samples.length,
    refused,
    timedOut,
    ended,
    other: lost - refused - timedOut - ended + unaccounted(traffic, window),
    slowestConnectMs: slowestConnect(traffic, window),
    slowestRefusalMs: refusals.length === 0 ? null : round(Math.max(...refusals), 1),
  };
}

/** In ms from when each was due. */
export function refusalTimes(samples: readonly Sample[]): readonly number[] {
  return samples.filter(({ outcome }) => outcome === "refused").map(({ end, due }) => end - due);
}

/** A client that did not run for longer says more about the machine than about the mesh. */
const MOST_STALL_MS = 100;

/** The longest time for which the client did not run. It is in the other figures; 0: less than what the client reports. */
export function longestStall({ stalls }: Pick<Traffic, "stalls">, window: Window): number {
  const inside = stalls.filter(({ from, to }) => to > window.from && from < window.to);
  return round(Math.max(0, ...inside.map(({ from, to }) => to - from)), 1);
}

/** The reason why a run says nothing about the mesh: the machine did not let the client run. Null when it did. */
export function starvedBy(traffic: Traffic, window: Window): string | null {
  const longest = longestStall(traffic, window);
  if (longest > MOST_STALL_MS) return `the client did not run for ${Math.round(longest)} ms`;
  const starved = within(traffic, window).filter(({ outcome }) => outcome === "starved").length;
  return starved > 0 ? `${starved} requests passed their deadline while the client did not run` : null;
}

export interface Spread {
  readonly median: number;
  readonly worst: number;
}

/** Null when there is no value. */
export function spreadOf(values: readonly (number | null)[]): Spread | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : { median: percentile(known, 50), worst: Math.max(...known) };
}

/** NaN of nothing. The median of an even number is the upper one. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? Number.NaN;
}
