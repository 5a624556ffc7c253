/**
 * What the suite reports about one spec.
 *
 * In: the suite's report of a run that was focused on one spec, as JSON. Out: passed or not, and why not. Pure.
 */
import { wrongProbes } from "./wrong-probes.js";

export interface SpecRun {
  /** With its tags. */
  readonly name: string;
  readonly passed: boolean;
  readonly seconds: number;
  /** Why it did not pass, as one line; empty when it passed. */
  readonly reason: string;
}

interface NodeReport {
  readonly ContainerHierarchyTexts?: readonly string[] | null;
  /** "It" for a spec, else the kind of the set-up or clean-up that this is. */
  readonly LeafNodeType: string;
  readonly LeafNodeText: string;
  readonly State: string;
  /** Nanoseconds. */
  readonly RunTime: number;
  readonly Failure?: { readonly Message?: string };
  readonly CapturedGinkgoWriterOutput?: string;
}

/** Throws with the reason when the spec did not run. */
export function parseSpecRun(json: string, name: string): SpecRun {
  const suites: readonly { readonly SpecReports: readonly NodeReport[] }[] = JSON.parse(json);
  const nodes = suites.flatMap(({ SpecReports }) => SpecReports);
  const spec = nodes.find((node) => node.LeafNodeType === "It" && fullName(node) === name);
  if (spec === undefined) throw new Error(`Cannot find the spec "${name}" in the report`);
  // What no spec of this run needs is reported as skipped, without a message.
  if (spec.State === "skipped" && messageOf(spec) === "")
    throw new Error(`The spec did not run: ${setupFailure(nodes)}`);
  const passed = spec.State === "passed";
  return { name, passed, seconds: Math.round(spec.RunTime / 1e9), reason: passed ? "" : reasonOf(spec) };
}

function fullName({ ContainerHierarchyTexts, LeafNodeText }: NodeReport): string {
  return [...(ContainerHierarchyTexts ?? []), LeafNodeText].join(" ");
}

function setupFailure(nodes: readonly NodeReport[]): string {
  const failed = nodes.find((node) => node.LeafNodeType !== "It" && node.State !== "passed" && messageOf(node) !== "");
  return failed === undefined ? "the suite gives no reason" : `${failed.LeafNodeType}: ${messageOf(failed)}`;
}

function reasonOf(spec: NodeReport): string {
  const what = spec.State === "failed" ? messageOf(spec) : `${spec.State}: ${messageOf(spec)}`;
  const probes = wrongProbes(spec.CapturedGinkgoWriterOutput ?? "");
  return probes === "" ? what : `${what} (${probes})`;
}

/** Its first line. */
function messageOf({ Failure }: NodeReport): string {
  return (Failure?.Message ?? "").trim().split("\n")[0] ?? "";
}
