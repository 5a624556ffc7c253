/** The timeline and the table of results, for a terminal of 100 columns. No meaning depends on colour. */
import { table } from "@isthmus/model";
import { type FaultResult, MAX_LOSSES } from "../judge/judge.js";
import type { Report } from "../judge/report.js";

export function reportText(report: Report): string {
  const lines = [
    "",
    "TIMELINE (seconds since the load began)",
    ...report.faults.flatMap((fault) => timeline(fault, report.begun)),
    "",
    table(report.faults.map(row), HEADERS),
    ...lossNote(report.faults),
    ...report.faults.flatMap(problems),
    ...(report.problem === null ? [] : [`Ended early: ${report.problem}`]),
    report.passed ? "All passed: nothing was lost that had to be kept." : "Not passed.",
    "",
  ];
  return lines.join("\n");
}

function timeline(fault: FaultResult, begun: number): readonly string[] {
  const head = `\n  ${fault.name.padEnd(12)}${fault.passed ? "passed" : "FAILED"}`;
  const moments = [...fault.marks, ...lossMoments(fault)].sort((a, b) => a.at - b.at);
  return [head, ...moments.map((moment) => `  ${clock(moment.at - begun)}  ${moment.kind.padEnd(6)} ${moment.text}`)];
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

const HEADERS = ["FAULT", "SENT", "OK", "LOST", "LONGEST GAP", "FIRST WEST", "EAST", "WEST", "RESULT"] as const;

export function row(fault: FaultResult): readonly string[] {
  const percent = (cluster: string) => `${((fault.share[cluster] ?? 0) * 100).toFixed(1)} %`;
  return [
    fault.name,
    String(fault.sent),
    String(fault.ok),
    lostWords(fault),
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

/** Explains the losses of `kill`. */
export function lossNote(faults: readonly FaultResult[]): readonly string[] {
  const kill = faults.find(({ name }) => name === "kill");
  return kill === undefined || !kill.passed || kill.ok === kill.sent
    ? []
    : ["kill: what was lost had been established when its server was killed; no connect was lost"];
}

function problems(fault: FaultResult): readonly string[] {
  return fault.checks
    .filter((check) => !check.passed)
    .map((check) => `FAILED ${fault.name}: ${check.text}: ${check.detail}`);
}
