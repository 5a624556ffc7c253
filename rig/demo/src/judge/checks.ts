/**
 * The checks of a fault. Each takes what was observed and returns whether the check passed, with the figure.
 *
 * Invariant: a check whose figure is unknown does not pass.
 */
import type { Mono, Sample } from "../samples/sample.js";
import type { Move } from "./runs.js";
import {
  count,
  firstAnswer,
  type Loss,
  round,
  slowestConnect,
  type Traffic,
  unaccounted,
  type Window,
  within,
} from "./traffic.js";

export interface Check {
  readonly text: string;
  readonly passed: boolean;
  readonly detail: string;
}

/** The event of a Ready pod reaches an agent and the demo's own watch at about the same time, in either order. */
export const WATCH_SLACK_MS = 100;

export function faultProof(text: string, shown: boolean, detail: string): Check {
  return { text: `proof: ${text}`, passed: shown, detail };
}

export function sentAtRate(traffic: Traffic, window: Window): Check {
  const { sent, expected } = count(traffic, window, []);
  const off = expected === 0 ? 1 : Math.abs(sent - expected) / expected;
  return {
    text: "sent equals rate × duration within 1 %",
    passed: off <= 0.01,
    detail: `${sent} of ${expected}`,
  };
}

export function longEnough(window: Window): Check {
  const seconds = round((window.to - window.from) / 1000, 1);
  return { text: "window of 10 s or more", passed: window.to - window.from >= 10_000, detail: `${seconds} s` };
}

/** Checks that no server answered whose connection was established before its readiness probe was first answered. */
export function answeredByReady(traffic: Traffic, window: Window): Check {
  const answered = within(traffic, window).filter(({ outcome }) => outcome === "ok");
  const early = answered.filter(({ connected, readyAt }) => readyAt === null || (connected ?? 0) < readyAt);
  const [first] = early;
  const which = first === undefined ? "" : `; the first by ${first.cluster}/${first.pod}`;
  return {
    text: "no answer by a server that was not ready yet",
    passed: early.length === 0,
    detail: `${early.length} of ${answered.length}${which}`,
  };
}

export function nothingLost(traffic: Traffic, window: Window): Check {
  const { sent, ok } = count(traffic, window, []);
  const unknown = unaccounted(traffic, window);
  const more = unknown === 0 ? "" : `, ${unknown} without an account`;
  const passed = sent > 0 && ok === sent && unknown === 0;
  return { text: "nothing lost", passed, detail: `${sent - ok} of ${sent} lost${more}` };
}

/** How many connections can be between their SYN and their answer when a fault strikes: 10 ms apart, answered in a few ms. */
const MOST_OPEN = 5;

/**
 * Checks that no connect was lost. `outcome`: how connections may end that were established when the fault struck;
 * `struck`: when it was in force for certain, null if never.
 */
export function onlyOpenLost(traffic: Traffic, window: Window, outcome: Loss, struck: Mono | null): Check {
  const text = `no connect lost; of those established before, ${MOST_OPEN} or fewer`;
  return connectsKept(traffic, window, { outcome, until: struck, most: MOST_OPEN, text });
}

export interface KnownLosses {
  readonly text: string;
  /** How established connections may end. */
  readonly outcome: Loss;
  /** Until when those that end so were due; null: none may. */
  readonly until: Mono | null;
  readonly most: number;
}

/** Checks that nothing was lost but established connections for a known reason. */
export function connectsKept(traffic: Traffic, window: Window, { text, outcome, until, most }: KnownLosses): Check {
  const samples = within(traffic, window);
  const lost = samples.filter((sample) => sample.outcome !== "ok");
  const open = lost.filter(
    (sample) => sample.outcome === outcome && sample.connected !== null && until !== null && sample.due < until,
  );
  const unknown = unaccounted(traffic, window);
  const more = unknown === 0 ? "" : `, ${unknown} without an account`;
  return {
    text,
    passed: samples.length > 0 && open.length === lost.length && open.length <= most && unknown === 0,
    detail: `${lost.length - open.length} and ${open.length} of ${samples.length}${more}`,
  };
}

/** Checks the time from the moment a connect was due until it was established, of all that were. */
export function connectedWithin(traffic: Traffic, window: Window, ms: number): Check {
  const worst = slowestConnect(traffic, window);
  return {
    text: `every connect established ≤ ${ms} ms after it was due`,
    passed: worst !== null && worst <= ms,
    detail: worst === null ? "none" : `${round(worst, 0)} ms${stallNote(traffic, window)}`,
  };
}

/** That a slow connect may be the machine's: the longest time for which the client did not run; "" when it did. */
function stallNote({ stalls }: Traffic, { from, to }: Window): string {
  const inside = stalls.filter((stall) => stall.to > from && stall.from < to);
  const longest = Math.max(0, ...inside.map((stall) => stall.to - stall.from));
  return longest === 0 ? "" : `; the client did not run for ${round(longest, 0)} ms`;
}

/** Checks that these answered before the fault struck, and nothing that connected from then on until it was lifted. */
export function silenced(
  traffic: Traffic,
  window: Window,
  { struck, lifted }: { readonly struck: Mono; readonly lifted: Mono },
  isTheirs: (sample: Sample) => boolean,
): Check {
  const answers = within(traffic, window).filter((sample) => sample.outcome === "ok" && isTheirs(sample));
  const before = answers.filter(({ due }) => due < struck).length;
  const during = answers.filter(
    ({ connected }) => connected !== null && connected > struck && connected < lifted,
  ).length;
  return faultProof("silent from then on", before > 0 && during === 0, `${before} answers before, ${during} meanwhile`);
}

export function answeredWithin(
  traffic: Traffic,
  cluster: string,
  asked: Mono,
  from: Mono | null,
  ms: number,
  of: string,
) {
  const first = from === null ? undefined : firstAnswer(traffic, cluster, asked);
  const took = first === undefined || from === null ? null : Math.max(0, first.end - from);
  return {
    text: `first answer from ${cluster} ≤ ${ms} ms after ${of}`,
    passed: took !== null && took <= ms,
    detail: took === null ? "never" : `${round(took, 0)} ms`,
  };
}

/** Checks that this cluster answered at least `share` of the requests of the window. */
export function servedBy(traffic: Traffic, cluster: string, window: Window | null, share: number, when: string): Check {
  const samples = window === null ? [] : within(traffic, window);
  const others = samples.filter((sample) => sample.outcome !== "ok" || sample.cluster !== cluster);
  const mine = samples.length - others.length;
  const passed = samples.length > 0 && mine >= samples.length * share;
  const [other] = others;
  const why =
    passed || window === null || other === undefined
      ? ""
      : `; the first other, due ${round(other.due - window.from, 0)} ms after its begin: ${other.outcome === "ok" ? other.cluster : other.outcome}`;
  return {
    text: share === 1 ? `${cluster} serves all ${when}` : `${cluster} serves ${share * 100} % or more ${when}`,
    passed,
    detail: window === null ? "never" : `${mine} of ${samples.length}${why}`,
  };
}

/** Checks that the target cluster answers within a second of the watch event, and alone from then on. */
export function trafficMoved(traffic: Traffic, move: Move): readonly Check[] {
  const settled = move.seen === null ? null : { from: move.seen + 1000, to: move.until };
  return [
    answeredWithin(traffic, move.to, move.requestedAt, move.seen, 1000, `the watch said "${move.text}"`),
    ...(settled !== null && settled.to <= settled.from
      ? []
      : [servedBy(traffic, move.to, settled, 1, `from 1 s after "${move.text}"`)]),
  ];
}

/** "after 120 ms", "never". */
export function said(at: Mono | null, since: Mono): string {
  return at === null ? "never" : `after ${round(at - since, 0)} ms`;
}
