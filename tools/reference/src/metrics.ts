/**
 * The metrics of each program as its sources register them, and the tables of docs/reference/metrics.md.
 *
 * In: sources by path. Out: per program its metrics by name. A metric whose name, help or labels are no literals cannot be
 * documented from the code, so it is a finding; so is one without help.
 */
import { byKey, code, table } from "./page.js";

export interface Metric {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
  readonly help: string;
}

export interface MetricsFound {
  readonly programs: ReadonlyMap<string, readonly Metric[]>;
  readonly findings: readonly string[];
}

const CALL = /\bmetrics\??\s*\.(counter|gauge|histogram)\(/g;
const LITERALS = /^\s*"(mesh_[a-z0-9_]+)",\s*(?:"([^"]*)"|`([^`]*)`)(?:,\s*\[([^\]]*)\])?/;

export function findMetrics(sources: ReadonlyMap<string, string>): MetricsFound {
  const programs = new Map<string, Map<string, Metric>>();
  const findings: string[] = [];
  for (const [path, source] of sources) {
    const program = path.split("/")[1] ?? "";
    for (const { 1: type = "", index, 0: call } of source.matchAll(CALL)) {
      const metric = readMetric(type, source.slice(index + call.length));
      if (metric === undefined) findings.push(`${path}: a ${type} whose name, help and labels are not literals`);
      else if (metric.help.trim() === "") findings.push(`${path}: metric "${metric.name}" has no help`);
      else programs.set(program, (programs.get(program) ?? new Map()).set(metric.name, metric));
    }
  }
  return {
    programs: new Map(
      [...programs].sort(byKey).map(([program, found]) => [program, [...found].sort(byKey).map(([, each]) => each)]),
    ),
    findings,
  };
}

function readMetric(type: string, after: string): Metric | undefined {
  const [, name, text, template, list = ""] = LITERALS.exec(after) ?? [];
  const help = text ?? template?.replace(/\$\{[^}]*\}/g, "…");
  if (name === undefined || help === undefined) return undefined;
  return { name, type, help, labels: [...list.matchAll(/"([^"]+)"/g)].map((label) => label[1] ?? "") };
}

/** The sections of the page, one for each program. */
export function metricsText({ programs }: MetricsFound): string {
  return [...programs].map(([program, metrics]) => `## ${program}\n\n${metricsTable(metrics)}`).join("\n\n");
}

function metricsTable(metrics: readonly Metric[]): string {
  return table(
    ["Metric", "Type", "Labels", "Meaning"],
    metrics.map(({ name, type, labels, help }) => [code(name), type, labels.map(code).join(", "), help]),
  );
}
