/** Findings of checks, and their text: grouped, each failed one with its fix. */
import { lineText } from "@isthmus/model";
import type { Io } from "./io.js";

export interface Finding {
  /** Group: "clusters", "store", … */
  readonly group: string;
  /** warning: reported, but not a failure. unknown: it could not be checked; the message has the reason. */
  readonly status: "ok" | "warning" | "fail" | "unknown";
  /** What it is about: a cluster, an endpoint, a pair of clusters. */
  readonly subject: string;
  /** What was found, without its subject and without a full stop. */
  readonly message: string;
  /** What to do. Present for every "fail", and for "unknown" where something can be done. */
  readonly fix?: string;
}

const WORDS = { ok: "ok", warning: "warning", fail: "fail", unknown: "cannot tell" } as const;
const COLORS = { ok: "\u001b[32m", warning: "\u001b[33m", fail: "\u001b[31m", unknown: "\u001b[33m" } as const;
const WIDTH = 11;

/** Groups in the order of their first finding; one line each, and one for what to do. */
export function findingsText(findings: readonly Finding[], { color }: Pick<Io, "color">): string {
  const groups = [...new Set(findings.map(({ group }) => group))];
  return groups
    .map(
      (group) =>
        `${group}\n${findings
          .filter((one) => one.group === group)
          .map((one) => line(one, color))
          .join("")}`,
    )
    .join("");
}

function line({ status, subject, message, fix }: Finding, color: boolean): string {
  const word = WORDS[status].padEnd(WIDTH);
  const shown = color ? `${COLORS[status]}${word}\u001b[0m` : word;
  const todo = fix === undefined ? "" : `  ${"".padEnd(WIDTH)}  to do: ${lineText(fix)}\n`;
  return `  ${shown}  ${lineText(`${subject}: ${message}`)}\n${todo}`;
}
