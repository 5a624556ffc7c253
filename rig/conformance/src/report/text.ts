/** A report for terminals and for programs. Pure. */
import { table } from "@isthmus/model";
import { shortName } from "../suite/spec-names.js";
import type { Report, SpecResult } from "./report.js";

/** A row for each spec, then what else is wrong, and last how many of each. */
export function reportText(report: Report): string {
  const { results, missing, findings } = report;
  const rows = [
    ...results.map((result) => [resultWord(result), `${result.seconds} s`, shortName(result.name), why(result)]),
    ...missing.map((name) => ["not run", "", shortName(name), ""]),
  ];
  const lines = findings.map((finding) => `Not passed: ${finding}\n`);
  return `${table(rows, ["RESULT", "TIME", "SPEC", "REASON"])}${lines.join("")}${summary(report)}\n`;
}

/** "45 passed, 2 failed (1 known)". */
export function summary({ results, missing }: Report): string {
  const failed = results.filter(({ passed }) => !passed);
  const known = failed.filter((result) => result.known !== undefined).length;
  const parts = [
    `${results.length - failed.length} passed`,
    `${failed.length} failed${known === 0 ? "" : ` (${known} known)`}`,
    ...(missing.length === 0 ? [] : [`${missing.length} not run`]),
  ];
  return parts.join(", ");
}

export function reportJson(report: Report, machine: object): string {
  return `${JSON.stringify({ ...report, machine }, null, 2)}\n`;
}

export function resultWord({ passed, known }: SpecResult): string {
  if (passed) return "passed";
  return known === undefined ? "failed" : "known";
}

function why({ reason, known }: SpecResult): string {
  return known === undefined ? reason : `${known} (${reason})`;
}
