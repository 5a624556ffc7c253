/**
 * Parses the client's lines (format: image/load.c) into samples.
 *
 * In: lines, from the beginning, in order; after a cut the whole stream may be read again, and known samples are skipped.
 * Out: samples in the order in which they were due. Invariant: a sample is never counted twice, and one that never arrived is
 * counted in `missing()`.
 */
import type { Mono, Outcome, Sample } from "./sample.js";

export interface ClientStart {
  readonly mono: Mono;
  /** Wall-clock milliseconds at `mono`. */
  readonly wall: number;
  /** Requests a second. */
  readonly rate: number;
}

export interface Stall {
  readonly from: Mono;
  readonly to: Mono;
}

export interface SampleLog {
  /** Throws on a line in another format. */
  line(text: string): void;
  started(): ClientStart | null;
  samples(): readonly Sample[];
  /** When the client itself was not running although it should have been, for 50 ms or more each time. */
  stalls(): readonly Stall[];
  /** Number of samples that are absent although later ones arrived. */
  missing(): number;
  /** Number of requests that the client reports at its end; null before. */
  ended(): number | null;
  /** Every request due before this time has completed or has passed its deadline. */
  completeUntil(): Mono;
}

type Line = {
  start?: { mono: number; wall: number; rate: number; deadline: number };
  responder?: number;
  name?: string;
  /** Microseconds of the monotonic clock; 0: never. */
  ready?: number;
  s?: [number, string, number, number, number][];
  /** Microseconds of the monotonic clock. */
  stall?: [number, number];
  end?: { sent: number };
};

const LETTERS: ReadonlyMap<string, Outcome> = new Map([
  ["o", "ok"],
  ["r", "refused"],
  ["x", "reset"],
  ["t", "timeout"],
  ["s", "starved"],
  ["e", "other"],
]);

const NOBODY = { cluster: "", pod: "", readyAt: null };

export function createSampleLog(): SampleLog {
  const byNumber: (Sample | undefined)[] = [];
  const stalls = new Map<number, Stall>();
  const responders = new Map<number, Pick<Sample, "cluster" | "pod" | "readyAt">>();
  let start: ClientStart | null = null;
  let end: number | null = null;
  let known = 0;

  function add(number: number, letter: string, latencyUs: number, responder: number, connectUs: number): void {
    const outcome = LETTERS.get(letter);
    if (start === null || outcome === undefined) throw new Error(`Cannot place sample "${number} ${letter}"`);
    if (byNumber[number] !== undefined) return;
    const due = start.mono + (number * 1000) / start.rate;
    const who = responders.get(responder) ?? NOBODY;
    const connected = connectUs < 0 ? null : due + connectUs / 1000;
    byNumber[number] = { number, due, end: due + latencyUs / 1000, connected, outcome, ...who };
    known += 1;
  }

  function take(line: Line): void {
    if (line.start !== undefined) {
      start = { mono: line.start.mono / 1000, wall: line.start.wall / 1000, rate: line.start.rate };
    } else if (line.responder !== undefined) {
      const [cluster = "", pod = ""] = (line.name ?? "").split("/");
      responders.set(line.responder, { cluster, pod, readyAt: line.ready ? line.ready / 1000 : null });
    } else if (line.end !== undefined) {
      end = line.end.sent;
    }
    if (line.stall !== undefined) {
      const [from, to] = line.stall;
      stalls.set(from, { from: from / 1000, to: to / 1000 });
    }
    for (const sample of line.s ?? []) add(...sample);
  }

  return {
    line: (text) => take(JSON.parse(text) as Line),
    started: () => start,
    samples: () => byNumber.filter((sample) => sample !== undefined),
    stalls: () => [...stalls.values()],
    missing: () => Math.max(byNumber.length, end ?? 0) - known,
    ended: () => end,
    completeUntil() {
      for (let n = byNumber.length - 1; n >= 0; n -= 1) {
        const sample = byNumber[n];
        if (sample !== undefined) return sample.end - 1000;
      }
      return Number.NEGATIVE_INFINITY;
    },
  };
}

/** The clusters that answered the last requests whose samples have arrived; "" for one that was lost. */
export function lastAnswers(log: Pick<SampleLog, "samples">, count: number): readonly string[] {
  return log
    .samples()
    .slice(-count)
    .map(({ cluster }) => cluster);
}
