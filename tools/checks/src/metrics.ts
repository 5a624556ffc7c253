/**
 * The metrics of each program as its sources register them, and the tables of docs/reference/metrics.md.
 *
 * In: sources by path. Out: per program its metrics by name. A metric whose name, help or labels are no literals cannot be
 * documented from the code, so it is a finding.
 */
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
      else programs.set(program, (programs.get(program) ?? new Map()).set(metric.name, metric));
    }
  }
  const byName = (a: Metric, b: Metric) => (a.name < b.name ? -1 : 1);
  return {
    programs: new Map([...programs].sort().map(([program, found]) => [program, [...found.values()].sort(byName)])),
    findings,
  };
}

function readMetric(type: string, after: string): Metric | undefined {
  const [, name, text, template, list = ""] = LITERALS.exec(after) ?? [];
  const help = text ?? template?.replace(/\$\{[^}]*\}/g, "…");
  if (name === undefined || help === undefined) return undefined;
  return { name, type, help, labels: [...list.matchAll(/"([^"]+)"/g)].map((label) => label[1] ?? "") };
}

const BEGIN = "<!-- metrics: begin, made by `node tools/checks/dist/main.js docs --write` -->";
const END = "<!-- metrics: end -->";

/** Returns the page with the tables of these metrics; undefined when it lacks the markers. */
export function withMetrics(page: string, { programs }: MetricsFound): string | undefined {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin === -1 || end < begin) return undefined;
  const tables = [...programs].map(([program, metrics]) => table(program, metrics)).join("\n");
  return `${page.slice(0, begin + BEGIN.length)}\n\n${tables}\n${page.slice(end)}`;
}

function table(program: string, metrics: readonly Metric[]): string {
  const rows = metrics.map(({ name, type, labels, help }) => {
    const shown = labels.map((label) => `\`${label}\``).join(", ");
    return `| \`${name}\` | ${type} | ${shown} | ${help.replaceAll("|", "\\|")} |\n`;
  });
  return `## ${program}\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n${rows.join("")}`;
}
