/** Prints `mesh policy list`: as a table, and as JSON. */
import { table } from "@isthmus/model";
import type { PolicyReport } from "@isthmus/proto";

const HEADER = ["KIND", "POLICY", "ACCEPTED", "ENFORCED", "FINDING"];

/** In the order of the answer; one line for each policy. */
export function policiesTable(policies: readonly PolicyReport[]): string {
  return table(policies.map(row), HEADER);
}

/** That policies are not enforced for some pods. */
export function auditedText(pods: number): string {
  const which = pods === 1 ? "1 pod of the cluster is" : `${pods} pods of the cluster are`;
  return `${which} in audit mode: what policies do not allow passes, and mesh monitor --drops shows it\n`;
}

/** Fields may be added; changing one needs another `schemaVersion`. */
export function policyJson(policy: PolicyReport): object {
  const { kind, namespace, name, generation, inForce, findings, enforcedNodes, nodes, unenforced } = policy;
  return {
    ...{ kind, namespace, name },
    generation: Number(generation),
    accepted: findings.length === 0,
    inForce: inForce === 0n ? null : Number(inForce),
    enforced: nodes === 0 ? null : { nodes: enforcedNodes, of: nodes },
    unenforced,
    findings,
  };
}

function row(policy: PolicyReport): readonly string[] {
  const { kind, namespace, name, findings, unenforced } = policy;
  const [first = "", ...others] = [...findings, ...unenforced];
  const more = others.length === 0 ? "" : ` (and ${others.length} more)`;
  return [kind, namespace === "" ? name : `${namespace}/${name}`, accepted(policy), enforced(policy), first + more];
}

function accepted({ findings, inForce }: PolicyReport): string {
  if (findings.length === 0) return "yes";
  return inForce === 0n ? "no, nothing in force" : `no, generation ${inForce} in force`;
}

/** "-" when nothing is in force, or the server does not know its nodes. */
function enforced({ inForce, enforcedNodes, nodes }: PolicyReport): string {
  return inForce === 0n || nodes === 0 ? "-" : `${enforcedNodes}/${nodes} nodes`;
}
