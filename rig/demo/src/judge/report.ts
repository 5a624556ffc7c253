/** The report of the whole demo: its faults, and the answers per second and cluster. Pure. */
import type { Mono, Sample } from "../samples/sample.js";
import { FAR, type FaultResult, judge, NEAR } from "./judge.js";
import { type MovesReading, movedBetween } from "./moves.js";
import type { FaultRun, Mark } from "./runs.js";
import type { Traffic } from "./traffic.js";

export interface Second {
  /** Seconds since the load began. */
  readonly at: number;
  readonly east: number;
  readonly west: number;
  readonly lost: number;
  /** How often the client's node moved a connect to another backend: up to three times each. */
  readonly moved: number;
}

export interface FaultReport extends FaultResult {
  /** How often the client's node moved a connect to another backend meanwhile: up to three times each. */
  readonly moved: number;
}

/** Of the clients that the policy does not admit, together. */
export interface DeniedClient {
  /** Connects, each with a result. */
  readonly attempts: number;
  /** Of these, the connections that were established. */
  readonly succeeded: number;
  /** Their samples. */
  readonly successes: readonly Sample[];
}

export interface Report {
  readonly faults: readonly FaultReport[];
  readonly deniedClient: DeniedClient;
  readonly passed: boolean;
  /** Why the demo ended early; null when it did not. */
  readonly problem: string | null;
  readonly rate: number;
  /** Wall clock, ISO, when the load began; `begun` is the same moment on the marks' clock. */
  readonly startedAt: string;
  readonly begun: Mono;
  readonly seconds: readonly Second[];
  readonly marks: readonly Mark[];
}

export interface ReportInput {
  readonly runs: readonly FaultRun[];
  readonly traffic: Traffic;
  /** Samples of each client that the policy does not admit. */
  readonly denied: readonly (readonly Sample[])[];
  readonly moves: readonly MovesReading[];
  readonly begun: Mono;
  readonly startedAt: string;
  readonly problem: string | null;
}

export function makeReport(input: ReportInput): Report {
  const faults = input.runs.map((run) => ({
    ...judge(run, input.traffic),
    moved: movedBetween(input.moves, run.window.from, run.window.to),
  }));
  const attempts = input.denied.flat();
  const successes = attempts.filter(({ connected }) => connected !== null);
  const succeeded = successes.length;
  return {
    faults,
    deniedClient: { attempts: attempts.length, succeeded, successes },
    passed:
      input.problem === null &&
      faults.length > 0 &&
      faults.every((fault) => fault.passed) &&
      succeeded === 0 &&
      input.denied.length > 0 &&
      input.denied.every(({ length }) => length > 0),
    problem: input.problem,
    rate: input.traffic.rate,
    startedAt: input.startedAt,
    begun: input.begun,
    seconds: perSecond(input),
    marks: faults.flatMap((fault) => fault.marks),
  };
}

function perSecond({ traffic, moves, begun }: ReportInput): readonly Second[] {
  const seconds: { at: number; east: number; west: number; lost: number; moved: number }[] = [];
  for (const sample of traffic.samples) {
    const at = Math.floor((sample.due - begun) / 1000);
    if (at < 0) continue;
    while (seconds.length <= at) {
      const from = begun + seconds.length * 1000;
      seconds.push({ at: seconds.length, east: 0, west: 0, lost: 0, moved: movedBetween(moves, from, from + 1000) });
    }
    const second = seconds[at];
    if (second === undefined) continue;
    if (sample.outcome !== "ok") second.lost += 1;
    else if (sample.cluster === NEAR) second.east += 1;
    else if (sample.cluster === FAR) second.west += 1;
  }
  return seconds;
}
