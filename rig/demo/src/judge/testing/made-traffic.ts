/** Makes sample streams for tests: responders, times, and losses. */
import type { Mono, Outcome, Sample } from "../../samples/sample.js";
import type { Traffic } from "../traffic.js";

export interface TrafficSegment {
  /** Milliseconds. */
  readonly until: Mono;
  /** The cluster that answers, or the outcome of a lost request. */
  readonly gets: string;
  /** Since when the responder has been ready; from the beginning by default. */
  readonly readyAt?: Mono;
}

const LOSSES: ReadonlySet<string> = new Set(["refused", "reset", "timeout", "starved", "other"]);

/** 100 requests a second from time 0; each stretch begins where the previous one ends. Answers take 2 ms. */
export function madeTraffic(...stretches: readonly TrafficSegment[]): Traffic {
  const samples: Sample[] = [];
  for (const { until, gets, readyAt } of stretches) {
    while (samples.length * 10 < until) samples.push(madeSample(samples.length, gets, readyAt));
  }
  return { rate: 100, samples, stalls: [] };
}

export function madeSample(number: number, gets: string, readyAt: Mono | null = 0): Sample {
  const due = number * 10;
  const connected = due + 1;
  if (!LOSSES.has(gets))
    return { number, due, end: due + 2, connected, outcome: "ok", cluster: gets, pod: `${gets}-1`, readyAt };
  const end = due + (gets === "timeout" ? 1000 : 1);
  const outcome = gets as Outcome;
  return {
    number,
    due,
    end,
    connected: outcome === "reset" ? connected : null,
    outcome,
    cluster: "",
    pod: "",
    readyAt: null,
  };
}

/** The same traffic with one request changed. */
export function withSample(traffic: Traffic, number: number, gets: string): Traffic {
  return {
    ...traffic,
    samples: traffic.samples.map((sample) => (sample.number === number ? madeSample(number, gets) : sample)),
  };
}

/** Of two clients that are never answered. */
export const DENIED: readonly (readonly Sample[])[] = [1, 2].map(
  () => madeTraffic({ until: 50, gets: "other" }).samples,
);
