/** Reports what connect did or would do, as text and as JSON. */
import { lineText, table } from "@isthmus/model";
import { stringify } from "yaml";
import type { Finding } from "../output/findings.js";
import type { Step } from "./plan.js";

export interface ConnectResult {
  /** Nothing was written, whatever `changes` says. */
  readonly dryRun: boolean;
  /** All steps are done or were not needed. */
  readonly connected: boolean;
  /** At least one object was written. */
  readonly changed: boolean;
  /** Of the preflight, "ok" ones included. */
  readonly findings: readonly Finding[];
  /** Steps that were done; in a dry run, all of the plan. */
  readonly changes: readonly Change[];
}

export interface Change {
  /** Name of the cluster. */
  readonly cluster: string;
  /** `MeshPeer/west`, for people. */
  readonly object: string;
  /** "keep": it was there already. */
  readonly action: "create" | "update" | "keep";
  /** False in a dry run. */
  readonly done: boolean;
}

/** The row of a step. */
export function toChange(step: Step, done: boolean): Change {
  return { cluster: step.cluster, object: objectOf(step), action: step.action, done };
}

/** One line for each change under a header. */
export function changesTable(changes: readonly Change[]): string {
  const word = ({ action, done }: Change) =>
    action === "keep" ? "unchanged" : done ? `${action}d` : `would ${action}`;
  return table(
    changes.map((change) => [change.cluster, change.object, word(change)]),
    ["CLUSTER", "OBJECT", "ACTION"],
  );
}

/** The manifests that connect would apply: one YAML document per object, the context in a comment. */
export function manifests(steps: readonly Step[]): string {
  return steps
    .flatMap((step) =>
      step.type === "user" ? [] : [`# context: ${lineText(step.context)}\n${stringify(step.object)}`],
    )
    .join("---\n");
}

function objectOf(step: Step): string {
  if (step.type === "user") return `user "${step.cluster}" in the store`;
  if (step.type === "store") return `MeshCluster/${step.cluster} spec.store`;
  return `MeshPeer/${step.object.metadata.name}`;
}
