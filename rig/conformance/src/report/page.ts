/**
 * The part of docs/conformance.md that a run writes: a section for each focus, between two marks.
 *
 * In: the page, and the report of a run in which all specs of the focus ran. Out: the page with the new section. Pure.
 */
import { shortName } from "../suite/spec-names.js";
import type { Report, SpecResult } from "./report.js";
import { summary } from "./text.js";

export interface RunOn {
  /** "6.18" */
  readonly kernel: string;
  readonly date: Date;
}

/** Throws when the page has no section of that focus. */
export function withSection(page: string, report: Report, on: RunOn): string {
  const [begin, end] = ["begin", "end"].map((edge) => `<!-- conformance ${report.focus}: ${edge} -->`) as [
    string,
    string,
  ];
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from < 0 || to < from) throw new Error(`Cannot find "${begin}" and "${end}" in the page`);
  return `${page.slice(0, from)}${begin}\n${section(report, on)}${page.slice(to)}`;
}

function section(report: Report, { kernel, date }: RunOn): string {
  const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
  const rows = [...report.results]
    .sort((a, b) => (shortName(a.name) < shortName(b.name) ? -1 : 1))
    .map((result) => `| ${cell(shortName(result.name))} | ${cell(resultCell(result))} |`);
  const head = `Kubernetes ${report.version}, Linux ${kernel}, ${day}: ${summary(report)}.`;
  return [head, "", "| Spec | Result |", "|---|---|", ...rows, ""].join("\n");
}

function resultCell({ passed, known, reason }: SpecResult): string {
  return passed ? "passed" : `failed: ${known ?? reason}`;
}

/** Tags of HTML and bars would end the cell or vanish. */
function cell(text: string): string {
  return text.replaceAll("\n", " ").replaceAll("|", "\\|").replaceAll("<", "&lt;");
}
