/** The runs of all drills, and their table: the median and the worst of the runs that count. Pure. */
import { table } from "@isthmus/model";
import { COSTS, type Costs, type Spread, spreadOf } from "./figures.js";

export interface RunReport extends Costs {
  readonly fault: string;
  readonly round: number;
  /** Wall clock, ISO. */
  readonly at: string;
  /** The machine's load average over a minute, at the end of the run. */
  readonly load: number;
  /** The longest time for which the client did not run, if 50 ms or more; else 0. */
  readonly stallMs: number;
  /** Why the run does not count: the machine did not let the client run. Null when it counts. */
  readonly starved: string | null;
  readonly passed: boolean;
  /** The checks that failed. */
  readonly failures: readonly string[];
}

export interface DrillReport {
  /** Runs of each fault that were asked for. */
  readonly wanted: number;
  readonly faults: readonly string[];
  readonly runs: readonly RunReport[];
  /** Why rounds ended early. */
  readonly problems: readonly string[];
  readonly passed: boolean;
}

export function makeReport(input: Omit<DrillReport, "passed">): DrillReport {
  const complete = input.faults.every((fault) => counted(input.runs, fault).length === input.wanted);
  const good = input.runs.every(({ starved, passed }) => starved !== null || passed);
  return { ...input, passed: complete && good && input.problems.length === 0 };
}

export function counted(runs: readonly RunReport[], fault: string): readonly RunReport[] {
  return runs.filter((run) => run.fault === fault && run.starved === null);
}

const FIGURES = [...COSTS, "stallMs"] as const;

export type Summary = { readonly [figure in (typeof FIGURES)[number]]: Spread | null };

export function summaryOf(runs: readonly RunReport[]): Summary {
  return Object.fromEntries(FIGURES.map((each) => [each, spreadOf(runs.map((run) => run[each]))])) as Summary;
}

const HEADER = [
  "FAULT",
  "RUNS",
  "REQUESTS",
  "REFUSED",
  "TIMED OUT",
  "ENDED",
  "OTHER",
  "SLOWEST CONNECT",
  "SLOWEST REFUSAL",
  "STALL",
  "PASSED",
];
const LEGEND = `Each cell: median / worst of the runs, REQUESTS: the median. REFUSED and TIMED OUT are connects; ENDED: connections that were
established, and got no answer. Times count from when a request was due. STALL: how long the client did not run, if 50 ms or more.
`;

export function reportText(report: DrillReport): string {
  const { faults, runs, wanted, problems, passed } = report;
  const rows = faults.map((fault) => rowOf(fault, counted(runs, fault), wanted));
  const starved = runs.filter((run) => run.starved !== null);
  const failures = runs.filter((run) => run.starved === null).flatMap(failuresOf);
  const lines = [
    ...starved.map(({ fault, round, starved: why }) => `Not counted: ${fault} of round ${round}: ${why}\n`),
    ...failures.map((failure) => `FAILED ${failure}\n`),
    ...problems.map((problem) => `Ended early: ${problem}\n`),
    passed ? "All passed.\n" : "Not passed.\n",
  ];
  return `${table(rows, HEADER)}${LEGEND}${lines.join("")}`;
}

function rowOf(fault: string, runs: readonly RunReport[], wanted: number): readonly string[] {
  const summary = summaryOf(runs);
  const cell = (figure: keyof Summary) => cellOf(summary[figure], figure.endsWith("Ms") ? " ms" : "");
  const passed = runs.filter((run) => run.passed).length;
  const [requests, ...others] = FIGURES;
  const median = String(summary[requests]?.median ?? "none");
  return [fault, `${runs.length} of ${wanted}`, median, ...others.map(cell), `${passed} of ${runs.length}`];
}

function cellOf(spread: Spread | null, unit: string): string {
  return spread === null ? "none" : `${spread.median} / ${spread.worst}${unit}`;
}

function failuresOf({ fault, round, failures }: RunReport): readonly string[] {
  return failures.map((failure) => `${fault} of round ${round}: ${failure}`);
}

/** For scripts. Fields are only added, never removed. */
export function reportJson(report: DrillReport, machine: object): string {
  const { faults, runs, wanted, problems, passed } = report;
  const summaries = faults.map((fault) => ({
    fault,
    runs: counted(runs, fault).length,
    ...summaryOf(counted(runs, fault)),
  }));
  return `${JSON.stringify({ passed, wanted, machine, faults: summaries, problems, runs }, null, 2)}\n`;
}
