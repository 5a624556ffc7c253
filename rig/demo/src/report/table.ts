/** The timeline and the table of results, for a terminal of 100 columns. No meaning depends on colour. */
import { table } from "@isthmus/model";
import { type FaultResult, MAX_LOSSES } from "../judge/judge.js";
import type { FaultReport, Report } from "../judge/report.js";
import type { FaultName } from "../judge/runs.js";

export function reportText(report: Report): string {
  const lines = [
    "",
    "TIMELINE (seconds since the load began)",
    ...report.faults.flatMap((fault) => timeline(fault, report.begun)),
    "",
    table(report.faults.map(row), HEADERS),
    LEGEND,
    deniedNote(report),
    ...lossNotes(report.faults),
    ...report.faults.flatMap(problems),
    ...(report.problem === null ? [] : [`Ended early: ${report.problem}`]),
    report.passed ? "All passed: nothing was lost that had to be kept." : "Not passed.",
    "",
  ];
  return lines.join("\n");
}

function timeline(fault: FaultResult, begun: number): readonly string[] {
  const head = `\n  ${fault.name.padEnd(14)}${fault.passed ? "passed" : "FAILED"}`;
  const moments = [...fault.marks, ...lossMoments(fault)].sort((a, b) => a.at - b.at);
  return [head, ...moments.map((moment) => `  ${clock(moment.at - begun)}  ${moment.kind.padEnd(6)} ${moment.text}`)];
}

/** What became of the clients that the policy does not admit. */
export function deniedNote({ deniedClient: { attempts, succeeded, successes }, begun }: Report): string {
  const first = successes.slice(0, 3).map(({ due }) => clock(due - begun).trim());
  const when = succeeded === 0 ? "" : `, due at ${first.join(", ")}${succeeded > first.length ? ", …" : ""} s`;
  return `Clients that the policy does not admit, one in each cluster: ${attempts} connects, ${succeeded} established${when}`;
}

/** One line for each series of losses that are less than 100 ms apart. */
function lossMoments(fault: FaultResult): readonly { at: number; kind: string; text: string }[] {
  const rows: { at: number; last: number; words: string[] }[] = [];
  for (const { due, outcome } of fault.losses) {
    const row = rows.at(-1);
    if (row !== undefined && due - row.last < 100) {
      row.last = due;
      row.words.push(outcome);
    } else rows.push({ at: due, last: due, words: [outcome] });
  }
  return rows.map(({ at, words }) => {
    const causes = [...new Set(words)].map((word) => `${words.filter((w) => w === word).length} ${word}`);
    return { at, kind: "lost", text: `${causes.join(", ")}${fault.losses.length === MAX_LOSSES ? " or more" : ""}` };
  });
}

function clock(ms: number): string {
  return (ms / 1000).toFixed(2).padStart(8);
}

const HEADERS = [
  "FAULT",
  "SENT",
  "OK",
  "LOST",
  "MOVED",
  "CONNECT",
  "GAP",
  "FIRST WEST",
  "EAST",
  "WEST",
  "RESULT",
] as const;
const LEGEND =
  "MOVED: how often connects went to another backend; CONNECT: the slowest; GAP: the longest time without an answer";

export function row(fault: FaultReport): readonly string[] {
  const percent = (cluster: string) => `${((fault.share[cluster] ?? 0) * 100).toFixed(1)} %`;
  return [
    fault.name,
    String(fault.sent),
    String(fault.ok),
    lostWords(fault),
    String(fault.moved),
    fault.slowestConnectMs === null ? "none" : `${Math.round(fault.slowestConnectMs)} ms`,
    `${Math.round(fault.longestGapMs)} ms`,
    fault.firstRemoteMs === null ? "never" : `${fault.firstRemoteMs} ms`,
    percent("east"),
    percent("west"),
    fault.passed ? "passed" : "FAILED",
  ];
}

function lostWords(fault: FaultResult): string {
  const words = Object.entries(fault.lost).flatMap(([cause, n]) => (n === 0 ? [] : [`${n} ${cause}`]));
  return words.length === 0 ? "0" : words.join(", ");
}

const OPEN = "what was lost had been established when the fault began; no connect was lost";
const ACCEPTED = "what was lost had been accepted by the kernels of suspended servers; no connect was lost";
/** The faults that pass with losses. */
const NOTES: { readonly [name in FaultName]?: string } = { "node-dark": OPEN, kill: OPEN, hang: ACCEPTED, dark: OPEN };

/** Explains the losses of faults that passed. */
export function lossNotes(faults: readonly FaultResult[]): readonly string[] {
  return faults
    .filter(({ passed, ok, sent }) => passed && ok < sent)
    .map(({ name }) => `${name}: ${NOTES[name] ?? ""}`);
}

function problems(fault: FaultResult): readonly string[] {
  return fault.checks
    .filter((check) => !check.passed)
    .map((check) => `FAILED ${fault.name}: ${check.text}: ${check.detail}`);
}
