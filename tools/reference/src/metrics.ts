/**
 * The metrics of each program as its sources register them: calls of `counter`, `gauge` and `histogram` of a `Metrics`.
 *
 * A metric whose name, help or labels are not written in the call cannot be documented from the code, so it is a finding; so is one
 * without help.
 */
import { nodesOf, type ProductSource } from "@isthmus/checks";
import {
  type CallExpression,
  type Expression,
  isArrayLiteralExpression,
  isCallExpression,
  isNoSubstitutionTemplateLiteral,
  isPropertyAccessExpression,
  isStringLiteral,
  isTemplateExpression,
} from "typescript/unstable/ast";
import { byKey, code, table } from "./page.js";

export interface Metric {
  /** `mesh_stream_agents` */
  readonly name: string;
  /** `counter`, `gauge` or `histogram` */
  readonly type: string;
  readonly labels: readonly string[];
  /** One line; "…" for what is filled in. */
  readonly help: string;
}

export interface MetricsFound {
  /** By program, or library that registers them; sorted by name. */
  readonly programs: ReadonlyMap<string, readonly Metric[]>;
  readonly findings: readonly string[];
}

const TYPES: ReadonlySet<string> = new Set(["counter", "gauge", "histogram"]);

export function findMetrics(sources: readonly ProductSource[]): MetricsFound {
  const programs = new Map<string, Map<string, Metric>>();
  const findings: string[] = [];
  for (const source of sources) {
    const program = source.folder.split("/")[1] ?? "";
    for (const { type, call } of registered(source)) {
      const metric = readMetric(type, call);
      const where = `${source.path}:${source.file.getLineAndCharacterOfPosition(call.getStart()).line + 1}`;
      if (metric === undefined) findings.push(`${where}: a ${type} whose name, help and labels are not literals`);
      else if (metric.help.trim() === "") findings.push(`${where}: metric "${metric.name}" has no help`);
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

function registered({ file, checker }: ProductSource) {
  return [...nodesOf(file)].filter(isCallExpression).flatMap((call) => {
    const { expression } = call;
    if (!isPropertyAccessExpression(expression) || !TYPES.has(expression.name.text)) return [];
    const owner = checker.getTypeAtLocation(expression.expression);
    const known = owner && checker.getNonNullableType(owner)?.getSymbol()?.name === "Metrics";
    return known === true ? [{ type: expression.name.text, call }] : [];
  });
}

function readMetric(type: string, { arguments: [name, help, list] }: CallExpression): Metric | undefined {
  const text = name && textOf(name);
  const meaning = help && textOf(help);
  const labels = list === undefined ? [] : labelsOf(list);
  if (text === undefined || meaning === undefined || labels === undefined) return undefined;
  return { name: text, type, help: meaning, labels };
}

function textOf(node: Expression): string | undefined {
  if (isStringLiteral(node) || isNoSubstitutionTemplateLiteral(node)) return node.text;
  if (!isTemplateExpression(node)) return undefined;
  return node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join("");
}

function labelsOf(node: Expression): readonly string[] | undefined {
  if (!isArrayLiteralExpression(node)) return undefined;
  const texts = node.elements.filter(isStringLiteral).map(({ text }) => text);
  return texts.length === node.elements.length ? texts : undefined;
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
